"""The summary: the layers of a network as a table, in the terminal and in notebooks."""

from dataclasses import dataclass
from html import escape
from itertools import pairwise

from chainrule.mathematics.architecture import Architecture
from chainrule.training.memory import readable

HEAD = ("layer", "shape", "activation", "parameters", "memory")


@dataclass(frozen=True)
class NetworkSummary:
    """A table of the layers.

    Parameters
    ----------
    net : Architecture
        The network.
    itemsize : int
        The bytes of a parameter.

    Examples
    --------
    >>> from chainrule.mathematics.architecture import architecture
    >>> NetworkSummary(architecture((784, 100, 10), "relu", None, "cross_entropy"), itemsize=4)
    layer  shape       activation  parameters     memory
    1      784 -> 100  relu            78,500  314.00 kB
    2      100 -> 10   identity         1,010    4.04 kB
    total                              79,510  318.04 kB
    """

    net: Architecture
    itemsize: int

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The text of the cells below ``HEAD``: a row for each layer, and the total."""
        net = self.net
        layers = zip(pairwise(net.sizes), net.activations, strict=True)
        rows = [
            (str(number), f"{n_in} -> {n_out}", activation.name, *self._figures((n_in + 1) * n_out))
            for number, ((n_in, n_out), activation) in enumerate(layers, start=1)
        ]
        return [*rows, ("total", "", "", *self._figures(net.layout.total))]

    def _figures(self, parameters: int) -> tuple[str, str]:
        return f"{parameters:,}", readable(parameters * self.itemsize)

    def __repr__(self) -> str:
        """Return the table as text."""
        table = [HEAD, *self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        sides = "<<<>>"  # alignment: words to the left, numbers to the right
        lines = ["  ".join(map("{:{}{}}".format, row, sides, widths)) for row in table]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the table as HTML, for a notebook."""
        lines = [
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in self.rows
        ]
        head = "".join(f"<th>{name}</th>" for name in HEAD)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
