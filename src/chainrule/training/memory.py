"""Memory: the memory that a training step needs, checked before training starts."""

from bisect import bisect_right
from typing import NamedTuple

from chainrule.backends import Backend
from chainrule.backends.plans import step_plan
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.optimizers import Optimizer
from chainrule.program import machine
from chainrule.program.plan import Plan
from chainrule.program.unrecordable import UnrecordableError

# Copies of the parameters that training keeps: before the epoch, the last good, the best.
KEPT_WEIGHTS = 3

_LARGE = 1e8  # bytes of initial weights; for fewer, the free memory is not checked
_SMALL = 4e6  # bytes of a step; likewise


class MemoryEstimate(NamedTuple):
    """The peak memory of training in bytes, by purpose."""

    parameters: int  # the weights and biases, and the copies that training keeps of them
    state: int  # the optimiser's
    batch: int  # the samples and targets of one step, or of two if they are streamed
    scratch: int  # everything between them: activations, deltas, gradients

    @property
    def total(self) -> int:
        """The sum of all purposes."""
        return sum(self)

    def __str__(self) -> str:
        """Return a table with a line for each purpose."""
        rows = [*self._asdict().items(), ("total", self.total)]
        return "\n".join(f"{name:<10} {readable(count):>10}" for name, count in rows)


class Demand(NamedTuple):
    """The memory that training needs on a backend; ``streamed`` if the data stay on the host.

    The memory depends on how a step runs: whether it is ``compiled``, the number of ``steps`` in total, and the ``threads``.

    Examples
    --------
    >>> from chainrule.mathematics.architecture import architecture
    >>> from chainrule.backends import named
    >>> from chainrule.mathematics.optimizers import optimizer
    >>> estimate = Demand(architecture((2, 4, 1)), optimizer("adam"), "float64", named("numpy")).of(4)
    >>> estimate.parameters, estimate.state, estimate.batch  # bytes: 17 numbers four times, 35, 12
    (544, 280, 96)
    """

    net: Architecture
    optimizer: Optimizer
    dtype: str
    backend: Backend
    streamed: bool = False
    compiled: bool = True
    steps: int = 1
    threads: int | None = None

    @property
    def places(self) -> int:
        """The number of batches in memory at the same time."""
        return self.backend.places if self.streamed else 1

    def of(self, rows: int) -> MemoryEstimate:
        """Return the memory of a step on batches of ``rows`` rows.

        The memory of a step that is replayed or compiled is its plan's. For a step that runs as written, all results are
        counted, which is an upper bound. Streamed data have two buffers for a batch, whose steps share their scratch memory.

        Parameters
        ----------
        rows : int
            The number of rows of a batch.

        Returns
        -------
        MemoryEstimate
            The peak memory in bytes, by purpose.
        """
        backend = self.backend

        def plan_of(rows: int) -> Plan:
            plan: Plan = step_plan(self.net, self.optimizer, rows, self.dtype)
            return backend.planned(plan)

        plan = plan_of(rows)
        sizes: dict[str, int] = {}
        for value in plan.program.inputs:
            sizes[value.role] = sizes.get(value.role, 0) + value.nbytes
        if self.compiled and backend.plans:
            scratch = backend.scratch_bytes(plan_of, rows, self.steps, self.threads)
        else:
            results = [operation.result for operation in plan.operations if not operation.is_view]
            scratch = plan.constant_bytes + sum(result.nbytes for result in results)
        return MemoryEstimate(
            parameters=sizes["parameter"] * (1 + KEPT_WEIGHTS),
            state=sizes.get("state", 0),
            batch=self.places * (sizes["sample"] + sizes["target"]),
            scratch=backend.own_bytes + scratch,
        )

    def advice(self, rows: int) -> str:
        """Return the remedy if a step on ``rows`` rows does not fit: a smaller batch, or narrower layers.

        Parameters
        ----------
        rows : int
            The number of rows of a batch.

        Returns
        -------
        str
            The last part of an error message.
        """
        left, fits = self.backend.available_bytes(), rows - 1
        needed = self.of(rows).total
        if left is not None:
            fits = bisect_right(range(1, rows), left, key=lambda batch: self.of(batch).total)
        # If there seemed to be room, a smaller batch helps only if the batch takes most of the memory.
        helps = fits and (2 * self.of(1).total < needed or (left is not None and left < needed))
        return f"give a batch_size of at most {fits}" if helps else "no batch fits: give narrower layers"

    def used_up(self, rows: int) -> str:
        """Return the error message for a step on ``rows`` rows that ran out of memory despite the estimate.

        Parameters
        ----------
        rows : int
            The number of rows of a batch.

        Returns
        -------
        str
            The message, with the remedy.
        """
        problem = f"{self.backend.describe()} ran out of memory for a step on {rows} rows"
        try:
            return f"{problem}, which takes {readable(self.of(rows).total)}; {self.advice(rows)}"
        except (UnrecordableError, MemoryError):
            return f"{problem}; give a smaller batch_size"

    def check(self, rows: int) -> None:
        """Raise ``MemoryError`` if a step does not fit.

        Parameters
        ----------
        rows : int
            The rows of a batch.

        Raises
        ------
        MemoryError
            The message has the memory that is needed, the memory that is free, and the largest batch that fits.
        """
        # An upper bound: small steps need no tracing, and the smallest ones no check of the free memory.
        widest = 16 * 8 * (self.places * rows * sum(self.net.sizes) + self.net.layout.total)
        widest += self.backend.own_bytes
        available = self.backend.available_bytes() if widest >= _SMALL else None
        if available is None or widest < available:
            return
        try:
            needed = self.of(rows).total
        except UnrecordableError:  # its memory cannot be known in advance
            return
        if needed > available:
            msg = (
                f"a step on {rows} rows needs {readable(needed)} but {self.backend.describe()} has "
                f"{readable(available)}; {self.advice(rows)}"
            )
            raise MemoryError(msg)


def check_weights(net: Architecture) -> None:
    """Raise ``MemoryError`` if the weights, drawn in float64, do not fit into the memory of the host.

    Parameters
    ----------
    net : Architecture
        The network whose weights are to be drawn.

    Raises
    ------
    MemoryError
        The message has the memory that is needed and the memory that is free.
    """
    needed = 16 * net.layout.total  # each layer, and all layers joined
    available = machine.available_bytes() if needed > _LARGE else None
    if available is not None and needed > available:
        msg = (
            f"layers of {', '.join(map(str, net.sizes))} have {net.layout.total:,} parameters, which take "
            f"{readable(needed)} to draw; {readable(available)} are free: give narrower layers"
        )
        raise MemoryError(msg)


def readable(count: int) -> str:
    """Return a number of bytes with its unit.

    Parameters
    ----------
    count : int
        The number of bytes, 0 or more.

    Returns
    -------
    str
        The number with its unit: B, kB, MB, ...; 1 kB is 1000 bytes.

    Examples
    --------
    >>> readable(1_500_000)
    '1.50 MB'
    """
    from rich.filesize import decimal

    return decimal(count, precision=2).replace("bytes", "B").replace("byte", "B")
