"""Workloads: a network, a batch size, a rule and a dtype, the unit in which speed is measured."""

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.mathematics.activations import identity, sigmoid
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.optimizers import Optimizer, adam, sgd


class Workload(NamedTuple):
    """A training step.

    Attributes
    ----------
    sizes
        Units of each layer, from the inputs to the outputs.
    batch
        Rows.
    rule
        "sgd" or "adam": see :func:`network`.
    dtype
        "float32" or "float64".
    """

    sizes: tuple[int, ...]
    batch: int
    rule: str = "sgd"
    dtype: str = "float32"

    @property
    def name(self) -> str:
        """The name in messages.

        Examples
        --------
        >>> Workload((64, 16, 10), 32).name
        '64-16-10, batch 32'
        """
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}"


def network(sizes: Sequence[int], rule: str) -> tuple[Architecture, Optimizer]:
    """Return the network and the optimizer that are measured for a rule.

    ``sgd``: sigmoid units, half the sum of squared errors. ``adam``: relu, softmax cross-entropy.
    """
    first, *hidden, last = sizes
    if rule == "adam":
        return architecture((first, hidden, last), "relu", identity, "cross_entropy"), adam()
    return architecture((first, hidden, last), "sigmoid", sigmoid, "squared_error"), sgd()


def workload_of(net: Architecture, optimizer: Optimizer, batch: int, dtype: str) -> Workload:
    """Return the workload of any network; its optimizer counts as the nearer of the two rules."""
    rule = "adam" if optimizer.name.startswith("adam") else "sgd"
    return Workload(net.sizes, batch, rule, dtype)
