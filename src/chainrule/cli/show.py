"""The output of the commands: coloured tables on a terminal, plain text elsewhere."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chainrule.bench.report.word_table import Table as WordTable
from chainrule.data.samples import Label
from chainrule.training.evaluation import confusion_counts


def console() -> Console:
    """Return standard output as a rich console, which has colour on a terminal unless NO_COLOR is set."""
    return Console(highlight=False)


def results(tables: Sequence[WordTable], record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print tables, or a record as JSON."""
    if as_json:
        typer.echo(json.dumps(record))
    else:
        for table in tables:
            console().print(table.rich())


def facts(title: str, values: Mapping[str, object]) -> WordTable:
    """Return names and values as a table."""
    rows = [(name, str(value)) for name, value in values.items()]
    return WordTable(title, ("fact", "value"), [*rows], texts=2)


def printable(text: str) -> str:
    r"""Return text with its control characters shown, but for ends of lines: a terminal would obey them.

    Examples
    --------
    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def percent(share: float) -> str:
    """Return a share as a percentage.

    Examples
    --------
    >>> percent(0.9722)
    '97.2 %'
    """
    return f"{100 * share:.1f} %"


def confusion(truth: np.ndarray, predicted: np.ndarray, labels: Sequence[Label]) -> Table:
    """Return the confusion matrix with a row for each true class.

    Parameters
    ----------
    truth, predicted
        ``(n,)``: places in ``labels``.
    labels
        The names of the classes.
    """
    counts = confusion_counts(truth, predicted, len(labels))  # (classes, classes)
    table = Table(title="confusion: true class down, prediction across", title_justify="left")
    table.add_column("", style="bold", no_wrap=True)
    for label in labels:
        table.add_column(str(label), justify="right", no_wrap=True)
    for i, row in enumerate(counts):
        styles = ["bold green" if i == j else "bold red" for j in range(len(labels))]
        cells = [Text(str(n), s) if n else Text("·", "dim") for n, s in zip(row, styles, strict=True)]
        table.add_row(str(labels[i]), *cells)
    return table
