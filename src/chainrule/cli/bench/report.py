"""`chainrule bench report`: what a run says, in the form that is asked for; nothing is measured again."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from chainrule.bench import report as made
from chainrule.bench.judge.results import Results
from chainrule.bench.store import read
from chainrule.cli.options import argument, option
from chainrule.cli.show import console

Form = Literal["term", "md", "html", "json", "png", "svg"]
_TEXTS: dict[str, Callable[[Results], str]] = {
    "md": made.markdown,
    "html": made.html,
    "json": made.derived,
}


def report(
    folder: Annotated[Path, argument("bench report.folder")],
    form: Annotated[Form, option("bench report.form")] = "term",
    output: Annotated[Path | None, option("bench report.output")] = None,
    update: Annotated[list[Path] | None, option("bench report.update")] = None,
) -> None:
    """Show what a run says: who is fastest where, and how near the limit that is."""
    results = Results(read(folder))
    for document in update or []:
        _rewrite(document, results, folder)
    if update and output is None and form == "term":
        return
    if form in {"png", "svg"}:
        _say(*made.figures(results, output or _beside(folder) / "figures", [form]))
    elif form == "term":
        console().print(made.terminal(results))
    elif output is None:
        typer.echo(_TEXTS[form](results), nl=False)
    else:
        output.write_text(_TEXTS[form](results), encoding="utf-8")
        _say(output)


def _beside(folder: Path) -> Path:
    return folder if folder.is_dir() else folder.parent


def _say(*files: Path) -> None:
    for file in files:
        typer.echo(f"wrote {file}", err=True)


def _rewrite(document: Path, results: Results, folder: Path) -> None:
    """Replace the figures in a document; its picture is the first map in the folder of the samples."""
    grids = [one.slug for one in results.slices if one.is_grid]
    maps = [map_ for slug in grids for map_ in _beside(folder).glob(f"**/crossover-{slug}.svg")]
    picture = Path(os.path.relpath(maps[0], document.parent)).as_posix() if maps else ""
    text = made.update(document.read_text(encoding="utf-8"), results, picture)
    document.write_text(text, encoding="utf-8")
    _say(document)
