"""The plan of a step for a CUDA device: its operations grouped as kernels."""

from chainrule.program.cuda.grouping import grouped
from chainrule.program.plan import Plan
from chainrule.program.planner import plan


def cuda_plan(step: Plan) -> Plan:
    """Return the plan of the same step, its operations grouped as a CUDA device runs them."""
    return plan(step.program, step.carried, grouped(step.program))
