"""Documents that hold the results of a run: README.md its times in brief, docs/speed.md the whole report.

From a clone::

    python -m benchmarks.documents benchmarks/results/epyc-2-cores.jsonl.gz README.md docs/speed.md

``<!-- speed -->`` and ``<!-- /speed -->`` mark the README's part, ``results`` the whole report.
"""

import os
import re
import sys
from collections import Counter
from pathlib import Path

from chainrule.bench import report, roster
from chainrule.bench.judge.results import Results, spread
from chainrule.bench.judge.statistics import geometric_mean
from chainrule.bench.report import tables
from chainrule.bench.report.word_table import SIGNS, Table, microseconds, number
from chainrule.bench.store import read

COMMAND = "chainrule bench run -o results && chainrule bench report results"
ROWS = 8
MOST_COLUMNS = 6  # contestants, at most: a telephone cuts off a wider table


def readme(run: Results, picture: str = "") -> str:
    """Return the README's part: the doubts, the verdict on all steps, at most eight rows, the machine.

    Parameters
    ----------
    run
        The results of a run.
    picture
        The path of a figure to show above the table; empty for none.
    """
    grid = next((one for one in run.slices if one.is_grid), None)
    alt = f"The fastest backend by hidden size and batch size{f': {grid.title}' if grid else ''}"
    table = times(run)
    day = tables.date(run)
    parts = [
        f"![{alt}]({picture})" if picture else "",
        " ".join(tables.doubts(run).notes),
        _verdict(run),
        table.markdown(level=0) if table.rows else "",
        f"Measured on {tables.line(run)}{f'; {day}' if day else ''}; `{COMMAND}` measures yours.",
    ]
    return "\n\n".join(filter(None, parts))


def _verdict(run: Results) -> str:
    """Return in how many cells each backend is the fastest, and how that compares with the other libraries."""
    steps = [one for one in run.slices if one.operation == "step"]
    leads = Counter(first for one in steps for first, *_ in one.leads.values())
    matches = [match for one in steps for cell in one.cells if (match := one.match(cell)).ratio]
    standings = Counter(match.standing for match in matches)
    speeds = [match.ratio.estimate for match in matches]
    cells = sum(leads.values())
    text = (
        f"Fastest backend: {', '.join(f'{name} in {n} of {cells} cells' for name, n in leads.items())}."
    )
    if matches:
        counts = ", ".join(f"{word} in {standings[word]}" for word in SIGNS if standings[word])
        mean = number(geometric_mean([match.ratio for match in matches]).estimate)
        text += (
            f" Compared with the fastest other library, it is {counts} of {len(matches)} cells, and {mean} times as "
            f"fast in the geometric mean ({number(min(speeds))} to {number(max(speeds))})."
        )
    return text if cells else ""


def update(document: str, run: Results, picture: str = "") -> str:
    """Return a document with the text between its marks replaced.

    ``<!-- speed -->`` and ``<!-- /speed -->`` mark the README's part, ``results`` the whole report.

    Raises
    ------
    ValueError
        If the document has neither of the marks.
    """
    parts = {"speed": readme(run, picture), "results": report.markdown(run)}
    marked = re.compile(r"(<!-- (speed|results) -->)\n.*?(<!-- /\2 -->)", re.DOTALL)
    text, count = marked.subn(
        lambda match: f"{match[1]}\n{parts[match[2]].strip()}\n{match[3]}", document
    )
    if count == 0:
        marks = " or ".join(f"<!-- {name} --> ... <!-- /{name} -->" for name in parts)
        msg = (
            f"nothing to update: the document has no marks {marks}; add them around the part to replace"
        )
        raise ValueError(msg)
    return text


def times(run: Results) -> Table:
    """Return the time of a step of the leading contestants in a few cells of all sizes."""
    steps = {cell: one for one in run.slices if one.operation == "step" for cell in one.cells}
    chosen = spread([cell for cell, one in steps.items() if one.best(cell)], ROWS)
    bests = {
        name: [steps[cell].best(cell, [name]) for cell in chosen] for name in [*run.backends, *run.peers]
    }
    texts = {
        name: [microseconds(f and f.step) for f in best] for name, best in bests.items() if any(best)
    }
    fastest = [min(f.step for f in row if f) for row in zip(*bests.values(), strict=True)]

    def slowness(name: str) -> float:
        """Return the sum over cells of the time over the fastest; a missing one counts as 10."""
        pairs = zip(bests[name], fastest, strict=True)
        return sum(f.step / least if f else 10.0 for f, least in pairs)

    names = roster.ordered(sorted(texts, key=slowness)[:MOST_COLUMNS])
    rows = [(cell.name, *(texts[name][place] for name in names)) for place, cell in enumerate(chosen)]
    return Table("", ["network, batch: µs a step", *names], rows)


def main(samples: Path, *documents: Path) -> None:
    """Rewrite documents; their picture is the first map in the folder of the samples."""
    run = Results(read(samples))
    folder = samples if samples.is_dir() else samples.parent
    grids = [one.slug for one in run.slices if one.is_grid]
    maps = [found for slug in grids for found in folder.glob(f"**/crossover-{slug}.svg")]
    for document in documents:
        picture = Path(os.path.relpath(maps[0], document.parent)).as_posix() if maps else ""
        document.write_text(update(document.read_text(encoding="utf-8"), run, picture), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
