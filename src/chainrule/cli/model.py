"""The commands that take a model: `chainrule predict`, `chainrule explain` and `chainrule export`."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule import NeuralNetwork
from chainrule.cli import options, show
from chainrule.cli.options import argument, dialect, loaded, option, table_path
from chainrule.data.samples import Label
from chainrule.data.tables import read_table
from chainrule.mathematics.naming import require
from chainrule.saving.files import check_writable, write_whole


def predict(
    model: options.Model,
    data: Annotated[str, argument("predict.data")],
    output: Annotated[Path | None, option("predict.output")] = None,
    backend: options.BackendName = None,
    encoding: options.Encoding = "utf-8",
    separator: options.Separator = ",",
    spreadsheet: Annotated[bool, option("predict.spreadsheet")] = False,
) -> None:
    """Write a model's predictions for the rows of a table, with the probability of each class.

    Columns are matched by name, in any order; other columns are ignored.
    """
    path, written_as = table_path(data), dialect(encoding, separator)
    if output is not None:
        problem = f"{output.name!r} names another kind of file; predictions are CSV: '{output.stem}.csv'"
        require(output.suffix not in {".gz", ".json", ".npz", ".parquet", ".xlsx"}, problem)
        check_writable(output, (path, model))
    network, facts = loaded(model, backend)
    outputs = network.backend.to_numpy(network.predict(facts.inputs(read_table(path, written_as))))
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    if facts.labels:
        writer.writerow(["prediction", *(f"probability_{label}" for label in facts.labels)])
        labels = [_for_spreadsheet(label) if spreadsheet else label for label in facts.labels]
        predictions = (labels[place] for place in outputs.argmax(axis=1))
        writer.writerows([label, *row] for label, row in zip(predictions, outputs.tolist(), strict=True))
    else:
        writer.writerow(["prediction"])
        writer.writerows([value] for value in facts.values(outputs).tolist())
    if output is None:
        text = lines.getvalue()
        typer.echo(show.printable(text) if sys.stdout.isatty() else text, nl=False)
    else:
        write_whole(output, lines.getvalue().encode())
        typer.echo(f"wrote {output} ({len(outputs)} rows)")


def _for_spreadsheet(label: Label) -> Label:
    """Return a label, with an apostrophe before it if a spreadsheet would run it as a formula.

    Examples
    --------
    >>> _for_spreadsheet("=1+1"), _for_spreadsheet("oak"), _for_spreadsheet(-1)
    ("'=1+1", 'oak', -1)
    """
    return f"'{label}" if isinstance(label, str) and label.startswith(tuple("=+-@\t\r")) else label


def explain(
    model: options.Model,
    data: Annotated[str, argument("explain.data")],
    rows: Annotated[int | None, option("explain.rows")] = None,
    learning_rate: Annotated[float, option("explain.learning_rate")] = 0.1,
    optimizer: options.OptimizerName = "sgd",
    every: Annotated[bool, option("explain.all")] = False,
    flags_only: Annotated[bool, option("explain.flags")] = False,
    as_json: options.AsJson = False,
    as_latex: Annotated[bool, option("explain.latex")] = False,
    as_html: Annotated[bool, option("explain.html")] = False,
    backend: options.BackendName = None,
    encoding: options.Encoding = "utf-8",
    separator: options.Separator = ",",
) -> None:
    """Show one training step, factor by factor, and its problems.

    All rows are one batch. The model is not changed.
    """
    problem = "--flags, --json, --latex and --html each say how to print it; give one"
    require(as_json + as_latex + as_html + flags_only <= 1, problem)
    network, facts = loaded(model, backend)
    spelled = (facts.target,) if facts.labels else ()  # keep the spelling of the labels in training
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


def export(model: options.Model, output: Annotated[Path, option("export.output")]) -> None:
    """Write a model as an ONNX file, for programs without chainrule.

    Its input is the numbers of a table, with the features in the model's order; its output is the same as that of
    chainrule predict. Needs the extra onnx.
    """
    check_writable(output, (model,))
    NeuralNetwork.load(model, backend="numpy").to_onnx(output)
    typer.echo(f"wrote {output}")
