"""`chainrule predict`: a model and a table in, predictions out."""

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from chainrule import NeuralNetwork
from chainrule.cli.facts import Facts
from chainrule.cli.options import BackendName, Model, table_path
from chainrule.data.tables import read_table
from chainrule.saving.files import check_writable, write_whole

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A table with its features: .csv, .csv.gz, .parquet, .npz; or digits."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="The CSV to write; else it is printed."),
]


def predict(model: Model, data: Data, output: Output = None, backend: BackendName = None) -> None:
    """Write a model's predictions for the rows of a table.

    For classes with the probability of each. The features are found by name, in any order; other
    columns are passed over.
    """
    if output is not None:
        check_writable(output)
    network = NeuralNetwork.load(model, backend=backend)
    facts = Facts.of(network.metadata)
    outputs = network.backend.to_numpy(network.predict(facts.inputs(read_table(table_path(data)))))
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    if facts.labels:
        writer.writerow(["prediction", *(f"probability_{label}" for label in facts.labels)])
        predicted = (facts.labels[place] for place in outputs.argmax(axis=1))
        writer.writerows([label, *row] for label, row in zip(predicted, outputs.tolist(), strict=True))
    else:
        writer.writerow(["prediction"])
        writer.writerows([value] for value in facts.values(outputs).tolist())
    if output is None:
        typer.echo(lines.getvalue(), nl=False)
    else:
        write_whole(output, lines.getvalue().encode())
        typer.echo(f"wrote {output} ({len(outputs)} rows)")
