"""Descent: gradient descent found in a program, so that its products may subtract from the weights themselves.

``W <- W - lr X' dL_dZ`` is one product with its result added on: the gradient is never written and never read
again. It is a peephole rule over the program of plain gradient descent, ``theta - lr g``, where nothing else
reads ``g``; any other update is left as it is.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import accumulate, groupby
from typing import NamedTuple

from chainrule.mathematics.arrays import size
from chainrule.program.operations import Operation, Value
from chainrule.program.plan import Roots
from chainrule.program.program import Program

Products = Mapping[int, Operation]  # matrix products, by the place of their results in the parameters


class Run(NamedTuple):
    """A run of the parameters, and the parts of their gradient."""

    where: slice
    parts: tuple[Value, ...]


class Descent(NamedTuple):
    """The plain update of a program: ``theta - rate g``, with the products that make the parts of ``g``."""

    theta: Value
    rate: Value
    gradient: Operation  # the concatenation
    scaled: Operation
    updated: Operation
    products: Products

    @property
    def weights(self) -> int:
        """The number of the weights that products make the gradient of."""
        return sum(size(product.result.shape) for product in self.products.values())


@lru_cache(maxsize=64)
def descent(program: Program) -> Descent | None:
    """Return the plain update, where the program has one, and nothing but it reads the gradient."""
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
    products = weight_products(program, gradient)
    alone = sum(value is gradient.result for value in _read(program)) == 1
    return Descent(theta, rate, gradient, scaled, updated, products) if alone and products else None


def weight_products(program: Program, gradient: Operation) -> dict[int, Operation]:
    """Return the products that make whole parts of a gradient, and that nothing else reads."""
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
    """Return the runs of the parameters whose gradient no product makes: the biases."""
    known, runs, start = set(products), [], 0
    for is_rest, placed in groupby(_placed(gradient), lambda place: place[0] not in known):
        parts = tuple(part for _, part in placed)
        stop = start + sum(part.shape[-1] for part in parts)
        if is_rest:
            runs.append(Run(slice(start, stop), parts))
        start = stop
    return runs


def _placed(gradient: Operation) -> list[tuple[int, Value]]:
    """Return the parts of a gradient, each with the place where it starts."""
    starts = accumulate((part.shape[-1] for part in gradient.inputs), initial=0)
    return list(zip(starts, gradient.inputs, strict=False))


def _read(program: Program) -> list[Value]:
    """Return the roots of everything that is read, once for each reading."""
    roots = Roots(program)
    return [roots.of(value) for op in program.operations if not op.is_view for value in op.inputs]
