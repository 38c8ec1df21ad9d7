"""`chainrule predict`: a model and a table in, predictions out."""

import csv
import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from chainrule.cli.options import (
    BackendName,
    Encoding,
    Model,
    Separator,
    argument,
    dialect,
    loaded,
    option,
    table_path,
)
from chainrule.cli.show import printable
from chainrule.data.samples import Label
from chainrule.data.tables import read_table
from chainrule.saving.files import check_writable, write_whole


def predict(
    model: Model,
    data: Annotated[str, argument("predict.data")],
    output: Annotated[Path | None, option("predict.output")] = None,
    backend: BackendName = None,
    encoding: Encoding = "utf-8",
    separator: Separator = ",",
    spreadsheet: Annotated[bool, option("predict.spreadsheet")] = False,
) -> None:
    """Write a model's predictions for the rows of a table.

    For classes with the probability of each. The features are found by name, in any order; other
    columns are ignored.
    """
    path, written_as = table_path(data), dialect(encoding, separator)
    if output is not None:
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
        typer.echo(printable(text) if sys.stdout.isatty() else text, nl=False)
    else:
        write_whole(output, lines.getvalue().encode())
        typer.echo(f"wrote {output} ({len(outputs)} rows)")


def _for_spreadsheet(label: Label) -> Label:
    """Return a label with an apostrophe before it where a spreadsheet would compute it.

    Examples
    --------
    >>> _for_spreadsheet("=1+1"), _for_spreadsheet("oak"), _for_spreadsheet(-1)
    ("'=1+1", 'oak', -1)
    """
    return f"'{label}" if isinstance(label, str) and label.startswith(tuple("=+-@\t\r")) else label
