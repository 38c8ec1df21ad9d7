"""Counts: what a step consists of, which is the same on every machine and at every run.

Three sources that know nothing of each other: the closed forms of the cell, the traced program with its
plan, and the step run on arrays that count. Where they disagree, one of them is wrong.
"""

from typing import Any, NamedTuple

import numpy as np

from chainrule.backends.plans import step_plan
from chainrule.backends.speed_map.workload import network
from chainrule.bench.cells import Cell
from chainrule.bench.judge.gate.counting import Counting
from chainrule.bench.judge.gate.counting_library import CountingLibrary
from chainrule.bench.problem import problem
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.engine import Engine, Work
from chainrule.program.epoch import Epoch, bounds
from chainrule.program.fusion import fuse
from chainrule.program.plain import Plain
from chainrule.program.replay import Replay


class Counts(NamedTuple):
    """The counts of a step."""

    products: int  # matrix products: 3L - 1
    row_products: int  # those of a row of ones, for the gradients of the biases: L
    elementwise: int  # operations that are neither products nor views
    launches: int  # calls of a step that is replayed
    chains: int  # passes over memory between the products, where operations are fused
    flops: int  # of the matrix products
    scratch_bytes: int  # planned, for all that lies between input and output
    peak_bytes: int  # of all arrays of a step
    calls_as_written: int  # what computes something in a step that is neither traced nor planned
    host_reads: int  # a step, numbers that the host waits for


def counts(cell: Cell) -> Counts:
    """Return the counts of a step of a cell.

    Raises
    ------
    RuntimeError
        If a step that is run does not do the products that are planned.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> found = counts(parse("64-16-10,32"))
    >>> found.products, found.row_products, found.host_reads
    (5, 2, 0)
    """
    plan = planned(cell)
    written, replayed = ran(cell, "plain"), ran(cell, "replay")
    for name, got in {"as it is written": written, "replayed": replayed}.items():
        wanted = plan.matmuls, plan.row_products
        if (got.products, got.rows) != wanted:
            msg = (
                f"the step of {cell.name}, {name}, does {got.products} products and {got.rows} of one row, "
                f"its plan {wanted[0]} and {wanted[1]}; look at net.program() for which of them is right"
            )
            raise RuntimeError(msg)
    fused = fuse(plan.program)
    return Counts(
        products=plan.matmuls,
        row_products=plan.row_products,
        elementwise=plan.program.elementwise,
        launches=plan.launches,
        chains=sum(group.is_elementwise for group in fused),
        flops=plan.flops,
        scratch_bytes=plan.scratch_bytes,
        peak_bytes=plan.peak_bytes,
        calls_as_written=written.computed,
        host_reads=max(written.reads, replayed.reads),
    )


def planned(cell: Cell) -> Any:
    """Return the plan of a step of a cell; nothing is computed."""
    return step_plan(*network(cell.sizes, cell.rule), cell.batch, cell.dtype)


class Ran(NamedTuple):
    """What one step of an engine did, on arrays that count."""

    products: int
    rows: int
    computed: int
    reads: int


def ran(cell: Cell, engine: str) -> Ran:
    """Return what a step of an engine ("plain" or "replay") does.

    It is the difference between two epochs, one of three steps and one of two: what belongs to an epoch
    (its losses are read once, its order is brought to the device) is in both.
    """
    three, two = (_tallied(cell, engine, steps) for steps in (3, 2))
    return Ran(*(a - b for a, b in zip(three, two, strict=True)))


def _tallied(cell: Cell, engine: str, steps: int) -> Ran:
    """Return what an epoch of so many steps does."""
    counting = Counting()
    made, epoch = _engine(cell, engine, steps, counting), _epoch(cell, steps)
    before = counting.reads
    made.run(epoch, lambda: None)
    return Ran(counting.products, counting.rows, counting.computed, counting.reads - before)


def _engine(cell: Cell, engine: str, steps: int, counting: Counting) -> Engine:
    def asarray(values: Any, dtype: Any = None) -> Any:
        return counting.array(np.asarray(values, dtype))

    net, optimizer = network(cell.sizes, cell.rule)
    given = problem(cell)
    rows = np.arange(steps * cell.batch) % len(given.X)  # (steps n,)
    X, Y = (counting.array(part[rows]) for part in (given.X, given.Y))  # (steps n, n_0), (steps n, n_L)
    theta = counting.array(np.full(net.layout.total, 0.1, cell.dtype))  # (P,)
    step = TrainingStep(net, optimizer)
    work = Work(step, Progress(theta, optimizer.init(theta)), Batch(X, Y), bounds(len(rows), cell.batch))
    if engine == "replay":
        return Replay(work, CountingLibrary(counting), asarray)
    return Plain(work, asarray, np.asarray)


def _epoch(cell: Cell, steps: int) -> Epoch:
    return Epoch(np.arange(steps * cell.batch), [1e-3] * steps, None)
