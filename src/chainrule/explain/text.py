"""Text: an explanation for the terminal, in colour where there is any, 80 columns wide or more."""

import math
from collections.abc import Iterator
from io import StringIO
from typing import Any

from rich.console import Console, Group
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from chainrule.explain.records import Explanation, Flag, Line, Update

TITLES = {
    "inputs": "what goes in",
    "forward": "forward",
    "loss": "loss",
    "backward": "backward",
    "update": "update",
}


def figure(number: float) -> str:
    """Return a number in four digits.

    Examples
    --------
    >>> figure(0.00012345), figure(2.0), figure(float("nan"))
    ('0.0001234', '2', 'NaN')
    """
    return f"{number:.4g}" if math.isfinite(number) else {"nan": "NaN"}.get(str(number), str(number))


def title(line: Line) -> str:
    """Return the heading that a line stands under."""
    if line.section in {"forward", "backward"} and line.layer is not None:
        return f"{TITLES[line.section]}, layer {line.layer}"
    return TITLES[line.section]


def heading(explanation: Explanation) -> list[str]:
    """Return what was explained, in two lines."""
    setting = explanation.setting
    how = f"{setting.optimizer} at learning rate {figure(setting.learning_rate)}"
    return [
        f"one training step of {setting.network}",
        f"{setting.rows} rows, {setting.loss}, {how}, {setting.where}",
    ]


def losses(explanation: Explanation) -> str:
    """Return what the step does to the loss."""
    before, after = figure(explanation.loss_before), figure(explanation.loss_after)
    return f"the loss goes from {before} to {after} on these rows"


def renderable(explanation: Explanation) -> Any:
    """Return what rich prints."""
    return Group(*_parts(explanation))


def plain(explanation: Explanation, width: int = 80) -> str:
    """Return it without colour."""
    console = Console(
        file=StringIO(), width=width, color_system=None, highlight=False, legacy_windows=False
    )
    with console.capture() as captured:
        console.print(renderable(explanation))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _parts(explanation: Explanation) -> Iterator[Any]:
    first, second = heading(explanation)
    yield Text(first, style="bold")
    yield Text(second)
    above = ""
    for line in explanation.lines:
        if title(line) != above:
            above = title(line)
            yield Rule(above, style="dim", align="left")
        yield from _line(line)
    yield _updates(explanation.updates)
    yield Text(losses(explanation))
    yield Rule(
        "what is wrong" if explanation.flags else "nothing wrong was found", style="dim", align="left"
    )
    for flag in explanation.flags:
        yield from _flag(flag)
    for what in explanation.findings.undecided:
        yield Text(f"undecided: {what}")


def _line(line: Line) -> Iterator[Any]:
    formula = Text("  ")
    formula.append(line.symbol.text, style="bold cyan")
    if line.formula.text:
        formula.append(f" {'<-' if line.renews else '='} {line.formula.text}")
    yield formula
    for product in line.products:
        yield _below(Text(product, style="magenta"))
    if line.source:
        source = Text(f"{line.source}  ", style="dim")
        source.append(line.code, style="not dim green")
        yield _below(source)
    yield _below(Text(figures(line)))


def figures(line: Line, width: int = 74) -> str:
    """Return the shape, the norm, the ends and the first entries of an array, as many as fit."""
    if line.array.size == 1:
        return f"{line.shape}  {figure(line.first[0])}"
    ends = f"{figure(line.smallest)} to {figure(line.largest)}"
    head = f"{line.shape}  norm {figure(line.norm)}  {ends}"
    for count in range(len(line.first), 0, -1):
        more = "" if count == line.array.size else " ..."
        entries = " ".join(f"{entry:.3g}" for entry in line.first[:count])
        if len(head) + len(entries) + len(more) + 4 <= width:
            return f"{head}  [{entries}{more}]"
    return head


def _below(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 6), expand=False)


def _updates(updates: tuple[Update, ...]) -> Table:
    table = Table(title="what the step changes, in norms", title_justify="left", title_style="")
    table.add_column("", style="bold cyan", no_wrap=True)
    for name in ("before", "gradient", "change", "change / before"):
        table.add_column(name, justify="right", no_wrap=True)
    for update in updates:
        ratio = "" if math.isnan(update.ratio) else figure(update.ratio)
        norms = (update.norm, update.gradient, update.change)
        table.add_row(update.name, *map(figure, norms), ratio)
    return table


def _flag(flag: Flag) -> Iterator[Any]:
    what = Text("! ", style="bold red")
    what.append(f"{flag.kind}, {flag.where}: ", style="bold red")
    what.append(flag.what)
    yield what
    remedy = Text("what to do: ", style="bold")
    remedy.append(flag.remedy)
    yield Padding(remedy, (0, 0, 0, 2), expand=False)
