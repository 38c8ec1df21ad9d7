"""The plan of a step for a CUDA device: its operations grouped as kernels, and which way its update goes."""

from chainrule.program.cuda.direct import direct, pays
from chainrule.program.cuda.grouping import grouped
from chainrule.program.descent import descent
from chainrule.program.plan import Plan
from chainrule.program.planner import plan


def cuda_plan(step: Plan, *, straight: bool | None = None) -> Plan:
    """Return the plan of the same step, its operations grouped as a CUDA device runs them.

    ``straight`` says whether products go straight into the weights where they can; unless given, where
    the weights are so many that it pays.
    """
    found = descent(step.program)
    if found is not None and (pays(found) if straight is None else straight):
        return direct(step.program, found)
    return plan(step.program, step.carried, grouped(step.program))
