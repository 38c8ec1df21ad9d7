"""The plan of a step for a CUDA device: its operations grouped as kernels, and how the weights are updated.

Products of gradient descent may subtract from the weights themselves, which saves two of six passes over the weights: see
``descent``.
"""

from functools import partial

from chainrule.program.cuda.grouping import grouped
from chainrule.program.descending import descent, direct
from chainrule.program.operations import Value
from chainrule.program.plan import Plan, plan

# Worthwhile from this many weights on: 16 MB of float32 no longer stay in a device's L2 cache between two passes.
# The bound follows from the size of that cache (50 MB on an H100); it is not measured.
LARGE = 4_000_000


def cuda_plan(step: Plan, *, thin: bool = True, long: bool = True) -> Plan:
    """Return the plan of the same step, its operations grouped as a CUDA device runs them: see ``grouped``."""
    group = partial(grouped, thin=thin, long=long)
    update = descent(step.program)
    if update is not None and update.weights >= LARGE:
        minus = Value((), update.rate.dtype, "-learning_rate", role="negated rate")
        return direct(step.program, update, minus, group)
    return plan(step.program, step.carried, group(step.program))
