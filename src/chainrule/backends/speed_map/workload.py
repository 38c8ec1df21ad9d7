"""Workloads: what a training step has to do, in numbers known before anything runs."""

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.backends.plans import step_plan
from chainrule.mathematics.activations import identity, sigmoid
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.optimizers import Optimizer, adam, sgd


class Workload(NamedTuple):
    """A step: its network and batch, and what they come to.

    ``calls``: the operations that compute something; ``flops``: of the matrix products; ``bytes``: read
    and written if every operation goes to memory.
    """

    sizes: tuple[int, ...]
    batch: int
    rule: str
    dtype: str
    calls: int
    flops: int
    bytes: int

    @property
    def name(self) -> str:
        """What messages call it.

        Examples
        --------
        >>> workload((64, 16, 10), 32).name
        '64-16-10, batch 32'
        """
        return f"{'-'.join(map(str, self.sizes))}, batch {self.batch}"


def network(sizes: Sequence[int], rule: str) -> tuple[Architecture, Optimizer]:
    """Return what is measured under a rule's name.

    ``sgd``: sigmoid units, half the sum of squared errors. ``adam``: relu, softmax cross-entropy.
    """
    first, *hidden, last = sizes
    if rule == "adam":
        return architecture((first, hidden, last), "relu", identity, "cross_entropy"), adam()
    return architecture((first, hidden, last), "sigmoid", sigmoid, "squared_error"), sgd()


def workload(sizes: Sequence[int], batch: int, rule: str = "sgd", dtype: str = "float32") -> Workload:
    """Return the workload of a network of these sizes.

    Examples
    --------
    >>> workload((784, 100, 10), 200).flops
    63920000
    """
    return workload_of(*network(sizes, rule), batch, dtype)


def workload_of(net: Architecture, optimizer: Optimizer, batch: int, dtype: str) -> Workload:
    """Return the workload of any network; by its rule it counts as one of the two that are measured."""
    program = step_plan(net, optimizer, batch, dtype).program
    rule = "adam" if optimizer.name.startswith("adam") else "sgd"
    return Workload(net.sizes, batch, rule, dtype, program.launches, program.flops, program.bytes)
