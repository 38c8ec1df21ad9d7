"""The counts of a training step: the same on every machine and in every run.

Three independent sources: the closed forms of the cell, the traced program with its plan, and the step run
on arrays that count. Where they disagree, one of them is wrong.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gate.counting import Counting, CountingLibrary
from chainrule.backends.plans import step_plan
from chainrule.backends.speed_map.spots import network
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import Cell
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.engine import Epoch, Plain, Work, bounds
from chainrule.program.fusion import fuse
from chainrule.program.plan import Plan
from chainrule.program.replay import Replay


class Counts(NamedTuple):
    """The counts of a step."""

    products: int  # matrix products: 3L - 1
    row_products: int  # those of a row of ones, for the gradients of the biases: L
    elementwise: int  # operations that are neither products nor views
    launches: int  # calls of a step that is replayed
    chains: int  # passes over memory between the products, where operations are fused
    flops: int  # of the matrix products
    scratch_bytes: int  # planned, for everything between input and output
    peak_bytes: int  # of all arrays of a step
    calls_as_written: int  # calls that compute something in a step that is neither traced nor planned
    host_reads: int  # numbers that the host waits for, a step


class StepRun(NamedTuple):
    """What one step of an engine did on arrays that count."""

    products: int
    row_products: int
    computed: int
    reads: int


def counts(cell: Cell) -> Counts:
    """Return the counts of a step of a cell.

    Raises
    ------
    RuntimeError
        If a step that runs does other products than its plan.

    Examples
    --------
    >>> from chainrule.bench.cells import parse
    >>> step = counts(parse("64-16-10,32"))
    >>> step.products, step.row_products, step.host_reads
    (5, 2, 0)
    """
    plan = planned(cell)
    written, replayed = run_step(cell, "plain"), run_step(cell, "replay")
    for name, got in {"as it is written": written, "replayed": replayed}.items():
        if got[:2] != (plan.matmuls, plan.row_products):
            msg = (
                f"the step of {cell.name}, {name}, does {got.products} products and {got.row_products} of "
                f"one row, its plan {plan.matmuls} and {plan.row_products}; compare with net.program()"
            )
            raise RuntimeError(msg)
    return Counts(
        products=plan.matmuls,
        row_products=plan.row_products,
        elementwise=plan.program.elementwise,
        launches=plan.launches,
        chains=sum(group.is_elementwise for group in fuse(plan.program)),
        flops=plan.flops,
        scratch_bytes=plan.scratch_bytes,
        peak_bytes=plan.peak_bytes,
        calls_as_written=written.computed,
        host_reads=max(written.reads, replayed.reads),
    )


def planned(cell: Cell) -> Plan:
    """Return the plan of a step of a cell; nothing is computed."""
    plan: Plan = step_plan(*network(cell.sizes, cell.rule), cell.batch, cell.dtype)
    return plan


def run_step(cell: Cell, engine: str) -> StepRun:
    """Return what a step of an engine ("plain" or "replay") does.

    This is the difference between an epoch of three steps and one of two, so that what is done once an
    epoch (reading its losses, sending its order to the device) is not counted.
    """
    three, two = (_run_epoch(cell, engine, steps) for steps in (3, 2))
    return StepRun(*(a - b for a, b in zip(three, two, strict=True)))


def _run_epoch(cell: Cell, engine: str, steps: int) -> StepRun:
    counting = Counting()

    def asarray(values: Any, dtype: Any = None) -> Any:
        return counting.array(np.asarray(values, dtype))

    net, optimizer = network(cell.sizes, cell.rule)
    data = cell_data(cell)
    order = np.arange(steps * cell.batch)  # (steps n,)
    rows = order % len(data.X)  # (steps n,)
    X, Y = (counting.array(part[rows]) for part in (data.X, data.Y))  # (steps n, n_0), (steps n, n_L)
    theta = counting.array(np.full(net.layout.total, 0.1, cell.dtype))  # (P,)
    progress = Progress(theta, optimizer.init(theta))
    work = Work(TrainingStep(net, optimizer), progress, Batch(X, Y), bounds(len(rows), cell.batch))
    epoch = Epoch(order, work.bounds, [1e-3] * steps, None)
    if engine == "replay":
        replay = Replay(work, CountingLibrary(counting), asarray)
        replay.run(epoch, lambda: None)
    else:
        plain = Plain(work, SimpleNamespace(asarray=asarray, to_numpy=np.asarray))
        plain.run(epoch, lambda: None)
    return StepRun(counting.products, counting.row_products, counting.computed, counting.reads)
