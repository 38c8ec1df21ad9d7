"""Straight into the weights: gradient descent as products that subtract from the weights themselves.

``W <- W - lr X' dL_dZ`` is one product with its result added on: the gradient is never written and never read
again, which saves two passes over the weights out of six. It is a peephole rule over the program of plain
gradient descent, ``theta - lr g``, where nothing else reads ``g``; any other update is left as it is.
"""

from dataclasses import replace
from itertools import accumulate, groupby
from typing import NamedTuple

from chainrule.arrays import size
from chainrule.program.cuda.grouping import grouped
from chainrule.program.operations import Operation, Value
from chainrule.program.plan import Home, Plan, Roots
from chainrule.program.planner import plan
from chainrule.program.program import Program

# Weights from which on it pays, since they no longer stay in a device's second-level cache between two passes:
# 16 MB of float32. A bound from the size of that cache (50 MB on an H100), not from a measurement.
LARGE = 4_000_000


class Descent(NamedTuple):
    """The plain update of a program: ``theta - rate g``, with the products that make the parts of ``g``."""

    theta: Value
    rate: Value
    gradient: Operation  # the concatenation
    scaled: Operation
    updated: Operation
    products: dict[int, Operation]  # the matrix products among its parts, by the place of their results


def descent(program: Program) -> Descent | None:
    """Return the plain update, where the program has one, and nothing but it reads the gradient."""
    roots = Roots(program)
    makers = {id(op.result): op for op in program.operations}
    updated = makers.get(id(program.outputs[0]))
    if updated is None or updated.function != "subtract" or len(updated.inputs) != 2:
        return None
    theta, scaled = updated.inputs[0], makers.get(id(updated.inputs[1]))
    if scaled is None or scaled.function != "multiply" or len(scaled.inputs) != 2:
        return None
    rate, gradient = scaled.inputs[0], makers.get(id(scaled.inputs[1]))
    is_plain = theta is program.inputs[0] and rate in program.inputs and rate.shape == ()
    if gradient is None or gradient.function != "concat" or not is_plain:
        return None
    products, start = {}, 0
    for part in gradient.inputs:
        maker = makers.get(id(roots.of(part)))
        if maker is not None and maker.is_matrix_product and roots.is_whole(part):
            products[start] = maker
        start += part.shape[-1]
    read = [value for op in program.operations for value in op.inputs if not op.is_view]
    alone = sum(roots.of(value) is gradient.result for value in read) == 1
    alone &= all(sum(roots.of(v) is op.result for v in read) == 1 for op in products.values())
    return Descent(theta, rate, gradient, scaled, updated, products) if alone and products else None


def pays(found: Descent) -> bool:
    """Return whether the weights are many enough, by their number alone."""
    return sum(size(product.result.shape) for product in found.products.values()) >= LARGE


def direct(program: Program, found: Descent) -> Plan:
    """Return the plan of the same step with each weight's product added onto the weight itself.

    Those products come last, when nothing reads the weights any more. What a product is scaled by,
    ``-learning_rate``, is an input after all others.
    """
    minus = Value((), found.rate.dtype, "-learning_rate")
    onto = {start: _onto(product, minus) for start, product in found.products.items()}
    rest, places = _rest(found)
    gone = {id(op) for op in (found.gradient, found.scaled, found.updated, *found.products.values())}
    kept = [op for op in program.operations if id(op) not in gone]
    results = [op.result for op in (*onto.values(), *rest)]
    made = Program(
        (*program.inputs, minus),
        (*results, *program.outputs[1:]),
        (*kept, *rest, *onto.values()),
    ).without_dead_code()
    planned = plan(made, (), grouped(made))
    theta = planned.homes[id(found.theta)].storage
    for start, product in onto.items():
        planned.homes[id(product.result)] = Home(theta, start, found.theta.shape)
    for start, value in places:
        planned.homes[id(value)] = Home(theta, start, found.theta.shape)
    return planned


def _onto(product: Operation, rate: Value) -> Operation:
    result = Value(product.result.shape, product.result.dtype, product.result.name)
    return replace(product, result=result, settings={**product.settings, "rate": rate})


def _rest(found: Descent) -> tuple[list[Operation], list[tuple[int, Value]]]:
    """Return the update of what no product makes, the biases, and where in the parameters its results lie."""
    operations: list[Operation] = []
    places, start = [], 0
    for is_rest, parts in groupby(_parts(found), lambda part: part[0] not in found.products):
        values = [value for _, value in parts]
        length = sum(value.shape[-1] for value in values)
        if is_rest:
            operations += _update(found, values, slice(start, start + length))
            places.append((start, operations[-1].result))
        start += length
    return operations, places


def _parts(found: Descent) -> list[tuple[int, Value]]:
    """Return the parts of the gradient, each with the place where it starts."""
    starts = accumulate((part.shape[-1] for part in found.gradient.inputs), initial=0)
    return list(zip(starts, found.gradient.inputs, strict=False))


def _update(found: Descent, parts: list[Value], where: slice) -> list[Operation]:
    """Return ``theta[where] - rate g[where]``, of these parts of ``g``."""
    shape, dtype = (where.stop - where.start,), found.theta.dtype
    old, g, scaled, new = (Value(shape, dtype) for _ in range(4))
    return [
        Operation("slice", (found.theta,), old, {"places": (where,)}),
        Operation("concat", tuple(parts), g),
        replace(found.scaled, operands=(found.rate, g), result=scaled),
        replace(found.updated, operands=(old, scaled), result=new),
    ]
