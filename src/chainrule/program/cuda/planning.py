"""The plan of a step for a CUDA device: its operations grouped as kernels, and which way its update goes.

Products of gradient descent may subtract from the weights themselves, which saves two passes over the weights out of six:
see ``descent``.
"""

from dataclasses import replace

from chainrule.program.cuda.grouping import grouped
from chainrule.program.descending import Descent, Run, descent, rest
from chainrule.program.operations import Operation, Value
from chainrule.program.plan import Home, Plan
from chainrule.program.planner import plan
from chainrule.program.program import Program

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
        return direct(step.program, found, thin=thin)
    return plan(step.program, step.carried, grouped(step.program, thin=thin))


def direct(program: Program, found: Descent, *, thin: bool = True) -> Plan:
    """Return the plan of the same step with each weight's product added onto the weight itself.

    Those products come last, when nothing reads the weights any more. What a product is scaled by,
    ``-learning_rate``, is an input after all others.
    """
    minus = Value((), found.rate.dtype, "-learning_rate", role="negated rate")
    onto = {start: _onto(product, minus) for start, product in found.products.items()}
    updates = {run.where.start: _update(found, run) for run in rest(found.gradient, found.products)}
    others = [op for operations in updates.values() for op in operations]
    gone = {id(op) for op in (found.gradient, found.scaled, found.updated, *found.products.values())}
    kept = [op for op in program.operations if id(op) not in gone]
    made = {start: product.result for start, product in onto.items()}
    made |= {start: operations[-1].result for start, operations in updates.items()}
    stepped = Program(
        (*program.inputs, minus),
        (*made.values(), *program.outputs[1:]),
        (*kept, *others, *onto.values()),
    ).without_dead_code()
    planned = plan(stepped, (), grouped(stepped, thin=thin))
    theta = planned.homes[id(found.theta)].storage
    for start, value in made.items():
        planned.homes[id(value)] = Home(theta, start, found.theta.shape)
    return planned


def _onto(product: Operation, rate: Value) -> Operation:
    result = Value(product.result.shape, product.result.dtype, product.result.name)
    return replace(product, result=result, settings={**product.settings, "rate": rate})


def _update(found: Descent, run: Run) -> list[Operation]:
    """Return ``theta[where] - rate g[where]`` for a run."""
    shape, dtype = (run.where.stop - run.where.start,), found.theta.dtype
    old, g, scaled, new = (Value(shape, dtype) for _ in range(4))
    return [
        Operation("slice", (found.theta,), old, {"places": (run.where,)}),
        Operation("concat", run.parts, g),
        replace(found.scaled, operands=(found.rate, g), result=scaled),
        replace(found.updated, operands=(old, scaled), result=new),
    ]
