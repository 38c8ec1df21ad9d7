"""The report as Markdown, whole; and the few lines of it for the README."""

from chainrule.bench.cells import Cell
from chainrule.bench.report import caveats, machine_facts, pivots, tables, words
from chainrule.bench.report.charts.panels import spread
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.word_table import Table, escaped, scaled

COMMAND = "chainrule bench run -o results && chainrule bench report results"
ROWS = 8
COLUMNS = 6  # backends and others, at the most: a wider table is cut off on a telephone


def markdown(found: Findings) -> str:
    """Return the verdict, all tables of the terminal, the method and what was measured on."""
    tabled = [*pivots.pivots(found), tables.efficiency(found), tables.missing(found)]
    environment = Table("Measured on", ["fact", "value"], list(machine_facts.rows(found)), texts=2)
    parts = [
        _list("What it says", list(map(str, words.verdict(found)))),
        *(table.markdown() for table in tabled if table.rows),
        _list("Who took part", [f"{name}: {says}" for name, says in tables.contestants(found)]),
        _list("How it was measured", caveats.method(found)),
        _list("What to keep in mind", [*caveats.caveats(found), *machine_facts.flags(found)]),
        environment.markdown() if environment.rows else f"Measured on {machine_facts.UNKNOWN}.",
    ]
    return "\n\n".join(parts) + "\n"


def _list(title: str, lines: list[str]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {escaped(line)}" for line in lines)])


def readme(found: Findings, picture: str = "", command: str = COMMAND) -> str:
    """Return a table of at most eight rows, the verdict's first sentence, the machine, the day, the command.

    Parameters
    ----------
    found
        The findings.
    picture
        The path of a figure to show above the table; none where it is empty.
    command
        What measures it again.
    """
    shown = [f"![{_picture_tells(found)}]({picture})"] if picture else []
    table = _times(found)
    day = machine_facts.date(found)
    line = f"{machine_facts.line(found)}{f'; {day}' if day else ''}; `{command}` measures yours."
    first = words.verdict(found)[0]
    told = [*shown, " ".join(first.sentences[:2]), *([table.markdown(level=0)] if table.rows else [])]
    return "\n\n".join([*map(str, told), f"Measured on {line}"])


def _picture_tells(found: Findings) -> str:
    grid = next((one for one in found.slices if one.is_grid), None)
    return (
        f"Which backend is the fastest, by hidden size and batch size{f': {grid.title}' if grid else ''}"
    )


def _times(found: Findings) -> Table:
    """Return the time of a step of the leading contestants in a few cells of all sizes."""
    cells = [cell for one in found.slices if one.operation == "step" for cell in one.cells]
    chosen = spread(cells, ROWS)
    names = [
        name for name in [*found.backends, *found.peers] if any(found.best(c, [name]) for c in chosen)
    ]
    shown = _foremost(found, chosen, names)
    table = Table("", ["network, batch: a step takes", *shown])
    for cell in chosen:
        best = [found.best(cell, [name]) for name in shown]
        if any(best):
            table.rows.append([cell.name, *(scaled(one.step, "s") if one else "-" for one in best)])
    return table


def _foremost(found: Findings, cells: list[Cell], names: list[str]) -> list[str]:
    """Return at most six names: who is the fastest anywhere, then who comes nearest; in their order."""
    fastest = [best.place.contestant for cell in cells if (best := found.best(cell, names))]

    def behind(name: str) -> float:
        """Return how many times as long as the fastest it takes, over the cells; missing counts as ten."""
        worst = 0.0
        for cell in cells:
            its, best = found.best(cell, [name]), found.best(cell, names)
            worst += (its.step or 0.0) / best.step if its and best and best.step else 10.0
        return worst

    kept = sorted(names, key=lambda name: (name not in fastest, behind(name)))[:COLUMNS]
    return [name for name in names if name in kept]
