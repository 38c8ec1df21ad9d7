"""Plans: the step of a network, traced and placed in memory, before there are data."""

from typing import Any

from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import record_like
from chainrule.mathematics.optimizers import Optimizer
from chainrule.mathematics.step import Batch, Progress, TrainingStep


def step_plan(
    net: Architecture,
    optimizer: Optimizer,
    rows: int,
    dtype: str,
    *,
    weighted: bool = False,
    named: bool = False,
) -> Any:
    """Return the plan of a step on batches of ``rows`` rows; ``named``: with the names of its values."""
    from chainrule.program.engine import plan_step
    from chainrule.program.trace import Spec, specs_of

    theta = Spec((net.layout.total,), dtype, "theta", "parameter")
    specs = specs_of(optimizer.init, theta)
    parts = [part._replace(name=f"state{n}", role="state") for n, part in enumerate(specs, start=1)]
    state = record_like(specs, parts)
    X = Spec((rows, net.sizes[0]), dtype, "X", "sample")
    Y = Spec((rows, net.sizes[-1]), dtype, "Y", "target")
    weights = Spec((rows, 1), dtype, "weights", "weight") if weighted else None
    key = Spec((), "int32", "key", "key") if net.dropout else None
    step, progress = TrainingStep(net, optimizer), Progress(theta, state)
    return plan_step(step, progress, Batch(X, Y, weights), key, named=named)
