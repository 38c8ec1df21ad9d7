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
    argument,
    dialect,
    loaded,
    option,
    table_path,
)
from chainrule.data.tables import read_table
from chainrule.mathematics.naming import require


def explain(
    model: Model,
    data: Annotated[str, argument("explain.data")],
    rows: Annotated[int | None, option("explain.rows")] = None,
    learning_rate: Annotated[float, option("explain.learning_rate")] = 0.1,
    optimizer: OptimizerName = "sgd",
    every: Annotated[bool, option("explain.all")] = False,
    flags_only: Annotated[bool, option("explain.flags")] = False,
    as_json: AsJson = False,
    as_latex: Annotated[bool, option("explain.latex")] = False,
    as_html: Annotated[bool, option("explain.html")] = False,
    backend: BackendName = None,
    encoding: Encoding = "utf-8",
    separator: Separator = ",",
) -> None:
    """Show one training step, factor by factor, and what is wrong with it.

    The rows are taken as one batch; nothing is changed.
    """
    require(rows is None or rows > 0, f"--rows is {rows}; give 1 or more")
    problem = "--flags, --json, --latex and --html each say how to print it; give one"
    require(as_json + as_latex + as_html + flags_only <= 1, problem)
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
