"""The plan of a step for a CUDA device: its operations grouped as kernels, and which way its update goes.

Products of gradient descent may subtract from the weights themselves, which saves two passes over the weights out of six:
see ``descent``.
"""

from functools import partial

from chainrule.program.cuda.grouping import grouped
from chainrule.program.descending import descent, direct
from chainrule.program.operations import Value
from chainrule.program.plan import Plan, plan

# Weights from which on it pays, since they no longer stay in a device's second-level cache between two passes:
# 16 MB of float32. A bound from the size of that cache (50 MB on an H100), not from a measurement.
LARGE = 4_000_000


def cuda_plan(step: Plan, *, straight: bool | None = None, thin: bool = True) -> Plan:
    """Return the plan of the same step, its operations grouped as a CUDA device runs them.

    ``thin``: see ``grouped``. ``straight`` says whether products go straight into the weights where they can; unless given, where
    the weights are so many that it pays.
    """
    found = descent(step.program)
    if found is not None and (found.weights >= LARGE if straight is None else straight):
        minus = Value((), found.rate.dtype, "-learning_rate", role="negated rate")
        return direct(step.program, found, minus, partial(grouped, thin=thin))
    return plan(step.program, step.carried, grouped(step.program, thin=thin))
