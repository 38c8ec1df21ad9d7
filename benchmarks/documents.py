"""Documents that hold the results of a run: README.md its times in brief, docs/speed.md the whole report.

From a clone::

    python -m benchmarks.documents benchmarks/results/epyc-2-cores.jsonl.gz README.md docs/speed.md

``<!-- speed -->`` and ``<!-- /speed -->`` mark the README's part, ``results`` the whole report.
"""

import os
import re
import sys
from pathlib import Path

from chainrule.bench import report, roster
from chainrule.bench.judge.results import Results, spread
from chainrule.bench.report import words
from chainrule.bench.report.word_table import Table, microseconds
from chainrule.bench.store import read

COMMAND = "chainrule bench run -o results && chainrule bench report results"
ROWS = 8
MOST_COLUMNS = 6  # contestants, at most: a telephone cuts off a wider table


def readme(run: Results, picture: str = "") -> str:
    """Return the README's part: the doubts, the verdict's first sentences, at most eight rows, the machine.

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
    day = words.date(run)
    parts = [
        f"![{alt}]({picture})" if picture else "",
        " ".join(words.doubts(run)),
        " ".join(words.verdict(run)[0].sentences[:2]),
        table.markdown(level=0) if table.rows else "",
        f"Measured on {words.line(run)}{f'; {day}' if day else ''}; `{COMMAND}` measures yours.",
    ]
    return "\n\n".join(filter(None, parts))


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
    cells = [cell for one in run.slices if one.operation == "step" for cell in one.cells]
    chosen = spread([cell for cell in cells if run.best(cell, run.backends)], ROWS)
    names = [name for name in [*run.backends, *run.peers] if run.bests(chosen, [name])]
    names = roster.ordered(run.ranked(chosen, names)[:MOST_COLUMNS])
    rows = []
    for cell in chosen:
        best = [run.best(cell, [name]) for name in names]
        rows.append([cell.name, *(microseconds(f.step if f else None) for f in best)])
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
