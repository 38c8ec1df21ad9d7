"""Plans: the step of a network, traced and laid out in memory, before there are any data."""

from typing import Any

from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import record_like
from chainrule.mathematics.optimizers import Optimizer
from chainrule.mathematics.step import Batch, Progress, TrainingStep


def step_plan(
    net: Architecture, optimizer: Optimizer, rows: int, dtype: str, *, weighted: bool = False
) -> Any:
    """Return the plan of a step on batches of so many rows."""
    from chainrule.program.engine import plan_step
    from chainrule.program.trace import Spec, made_by

    theta = Spec((net.layout.total,), dtype, "theta")
    made = made_by(optimizer.init, theta)
    state = record_like(made, [part._replace(name=f"state{n}") for n, part in enumerate(made, start=1)])
    X, Y = Spec((rows, net.sizes[0]), dtype, "X"), Spec((rows, net.sizes[-1]), dtype, "Y")
    weights = Spec((rows, 1), dtype, "weights") if weighted else None
    key = Spec((), "int32", "key") if net.dropout else None
    return plan_step(TrainingStep(net, optimizer), Progress(theta, state), Batch(X, Y, weights), key)
