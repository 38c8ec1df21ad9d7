"""Plans: the step of a network, traced and placed in memory, before there are data."""

from typing import Any

from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.optimizers import Optimizer
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.engine import Work


def step_plan(
    net: Architecture, optimizer: Optimizer, rows: int, dtype: str, *, named: bool = False
) -> Any:
    """Return the plan of a step on batches of ``rows`` rows; ``named``: with the names of its values."""
    from chainrule.program.trace import Spec, specs_of

    theta, (first, *_, last) = Spec((net.layout.total,), dtype), net.sizes
    progress = Progress(theta, specs_of(optimizer.init, theta))
    data = Batch(Spec((rows, first), dtype), Spec((rows, last), dtype))
    work = Work(TrainingStep(net, optimizer), progress, data, [(0, rows)], drops=bool(net.dropout))
    return work.plan(rows, named=named)
