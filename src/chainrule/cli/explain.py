"""`chainrule explain`: a model and a table in, one training step out, factor by factor."""

import json
from typing import Annotated

import typer

from chainrule.cli import show
from chainrule.cli.options import (
    AsJson,
    BackendName,
    Encoding,
    Model,
    OptimizerName,
    Separator,
    dialect,
    loaded,
    table_path,
)
from chainrule.data.tables import read_table

Data = Annotated[str, typer.Argument(metavar="DATA", help="A table with its target too; or digits.")]
Rows = Annotated[
    int | None, typer.Option(metavar="N", help="Take the first N rows.", show_default="all")
]
LearningRate = Annotated[float, typer.Option(metavar="RATE", help="Of the step.")]
Every = Annotated[bool, typer.Option("--all", help="Show every operation.")]
FlagsOnly = Annotated[bool, typer.Option("--flags", help="Only what is wrong; exit code 1 if any.")]
AsLatex = Annotated[bool, typer.Option("--latex", help="Print its formulas as LaTeX.")]
AsHtml = Annotated[bool, typer.Option("--html", help="Print it as HTML.")]


def explain(
    model: Model,
    data: Data,
    rows: Rows = None,
    learning_rate: LearningRate = 0.1,
    optimizer: OptimizerName = "sgd",
    every: Every = False,
    flags_only: FlagsOnly = False,
    as_json: AsJson = False,
    as_latex: AsLatex = False,
    as_html: AsHtml = False,
    backend: BackendName = None,
    encoding: Encoding = "utf-8",
    separator: Separator = ",",
) -> None:
    """Show one training step, factor by factor, and what is wrong with it.

    The rows are taken as one batch; nothing is changed.
    """
    if rows is not None and rows < 1:
        msg = f"--rows is {rows}; give 1 or more"
        raise ValueError(msg)
    if as_json + as_latex + as_html + flags_only > 1:
        msg = "--flags, --json, --latex and --html each say how to print it; give one"
        raise ValueError(msg)
    network, facts = loaded(model, backend)
    spelled = (facts.target,) if facts.labels else ()  # labels as training had them
    whole = read_table(table_path(data), dialect(encoding, separator, spelled))
    table = {name: values[:rows] for name, values in whole.items()}
    step = network.explain(
        facts.inputs(table),
        facts.truth(table),
        learning_rate,
        optimizer=optimizer,
        detail="all" if every else "named",
    )
    if as_json:
        typer.echo(json.dumps(step.to_dict()))
    elif as_latex:
        typer.echo(step.latex())
    elif as_html:
        typer.echo(step._repr_html_())
    elif flags_only:
        typer.echo("\n".join(map(str, step.flags)) or "nothing wrong was found")
        raise typer.Exit(1 if step.flags else 0)
    else:
        show.console().print(step)
