"""Descending: gradient descent whose products subtract from the weights themselves.

``W <- W - lr X' dL_dZ`` is one product that is added to its result: the gradient is never written and never read
again. It is a peephole rule for the program of plain gradient descent, ``theta - lr g``, where nothing else
reads ``g``; any other update stays as it is. The products come last, when nothing reads the weights any more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, groupby
from typing import NamedTuple

from chainrule.mathematics.arrays import size
from chainrule.program.kernels import Kernels
from chainrule.program.operations import Fusion, Operation, Program, Value
from chainrule.program.plan import Home, Plan, Roots, plan

# In native code, adding a product directly to its weights pays only with this many weights and columns: a smaller
# gradient is read from the nearest cache, and a BLAS adds slowly to rows that are shorter than a vector.
MANY, WIDE = 10_000, 16


class Run(NamedTuple):
    """A range of the parameters, and the parts of their gradient."""

    where: slice
    parts: tuple[Value, ...]


class Descent(NamedTuple):
    """The plain update of a program, ``theta - rate g``, and the products that compute parts of ``g``."""

    theta: Value
    rate: Value
    gradient: Operation  # the concatenation
    scaled: Operation
    updated: Operation
    products: dict[int, Operation]  # by the start of their weights in the parameters

    @property
    def weights(self) -> int:
        """The number of weights whose gradients are products."""
        return sum(size(product.result.shape) for product in self.products.values())


@lru_cache(maxsize=64)
def descent(program: Program) -> Descent | None:
    """Return the plain update of a program; ``None`` if it has another one, or reads the gradient elsewhere."""
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
    products = _weight_products(program, gradient)
    alone = sum(value is gradient.result for value in _read(program)) == 1
    return Descent(theta, rate, gradient, scaled, updated, products) if alone and products else None


def _weight_products(program: Program, gradient: Operation) -> dict[int, Operation]:
    """Return the products whose results are whole parts of a gradient, and are read by nothing else."""
    roots, makers = Roots(program), {id(op.result): op for op in program.operations}
    read = [id(value) for value in _read(program)]
    products = {}
    for start, part in _placed(gradient):
        maker = makers.get(id(roots.of(part)))
        if maker is None or not maker.is_matrix_product or not roots.is_whole(part):
            continue
        if read.count(id(maker.result)) == 1:
            products[start] = maker
    return products


def rest(gradient: Operation, products: Iterable[int]) -> list[Run]:
    """Return the ranges of parameters whose gradients are not among these products, such as the biases."""
    starts, runs, start = set(products), [], 0
    for is_rest, placed in groupby(_placed(gradient), lambda place: place[0] not in starts):
        parts = tuple(part for _, part in placed)
        stop = start + sum(part.shape[-1] for part in parts)
        if is_rest:
            runs.append(Run(slice(start, stop), parts))
        start = stop
    return runs


def _placed(gradient: Operation) -> list[tuple[int, Value]]:
    """Return the parts of a gradient, each with its start."""
    starts = accumulate((part.shape[-1] for part in gradient.inputs), initial=0)
    return list(zip(starts, gradient.inputs, strict=False))


def _read(program: Program) -> list[Value]:
    """Return the root of each operand, as often as it is read."""
    roots = Roots(program)
    return [roots.of(value) for op in program.operations if not op.is_view for value in op.inputs]


@lru_cache(maxsize=64)
def native_descent(program: Program, kernels: Kernels) -> Plan | None:
    """Return the plan of a step whose products subtract from large weights; ``None`` if it has none of them."""
    update = descent(program) if kernels.can_subtract else None
    products = {} if update is None else {s: op for s, op in update.products.items() if _pays(op.result)}
    if update is None or not products:
        return None
    return direct(program, update._replace(products=products), update.rate, kernels.groups)


def _pays(weight: Value) -> bool:
    return size(weight.shape) >= MANY and weight.shape[-1] >= WIDE


def direct(
    program: Program, update: Descent, scale: Value, groups: Callable[[Program], Sequence[Fusion]]
) -> Plan:
    """Return the plan of the same step with each weight's product added to the weight itself.

    Parameters
    ----------
    program, update
        The step, and its update.
    scale
        The number that the products are scaled by: the setting ``rate`` of their operations. If the program has
        no such input, it becomes the last one.
    groups
        Groups the operations of a program.

    Returns
    -------
    Plan
        Its outputs are the parts of the parameters, written in their places, and those of ``program`` after them.
    """
    onto = {start: _onto(product, scale) for start, product in update.products.items()}
    updates = {run.where.start: _update(update, run) for run in rest(update.gradient, update.products)}
    others = [op for operations in updates.values() for op in operations]
    gone = {id(op) for op in (update.gradient, update.scaled, update.updated, *update.products.values())}
    kept = [op for op in program.operations if id(op) not in gone]
    outputs = {start: product.result for start, product in onto.items()}
    outputs |= {start: operations[-1].result for start, operations in updates.items()}
    stepped = Program(
        (*program.inputs, *(() if scale in program.inputs else (scale,))),
        (*outputs.values(), *program.outputs[1:]),
        (*kept, *others, *onto.values()),
    ).without_dead_code()
    planned = plan(stepped, (), groups(stepped))
    theta = planned.homes[id(update.theta)].storage
    for start, value in outputs.items():
        planned.homes[id(value)] = Home(theta, start, update.theta.shape)
    return planned


def _onto(product: Operation, scale: Value) -> Operation:
    result = Value(product.result.shape, product.result.dtype, product.result.name)
    return replace(product, result=result, settings={**product.settings, "rate": scale})


def _update(update: Descent, run: Run) -> list[Operation]:
    """Return the operations of ``theta[where] - rate g[where]`` for a range ``where``."""
    shape, dtype = (run.where.stop - run.where.start,), update.theta.dtype
    old, g, scaled, new = (Value(shape, dtype) for _ in range(4))
    return [
        Operation("slice", (update.theta,), old, {"places": (run.where,)}),
        Operation("concat", run.parts, g),
        replace(update.scaled, operands=(update.rate, g), result=scaled),
        replace(update.updated, operands=(old, scaled), result=new),
    ]
