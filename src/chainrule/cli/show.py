"""The output of the commands: coloured tables on a terminal, plain text elsewhere."""

from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chainrule.data.samples import Label
from chainrule.training.evaluation import confusion_counts


def console() -> Console:
    """Return standard output as a rich console, which has colour on a terminal unless NO_COLOR is set."""
    return Console(highlight=False)


def facts_table(facts: Mapping[str, object]) -> Table:
    """Return names and values in two columns."""
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(str(value)))
    return table


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
