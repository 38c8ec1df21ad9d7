"""Descending: gradient descent on parts of a batch, whose products subtract from the weights themselves.

``W <- W - lr X' dL_dZ`` is one product with its result added on: the gradient is never written and never read
again. It is a peephole rule over the program of plain gradient descent, ``theta - lr g``, where nothing else
reads ``g``; any other update is left as it is.

On parts of a batch, ``W <- W - lr Σ_b X_b' dL_dZ_b``: each thread goes forward and backward over its rows as in
``blocks``, up to what the products multiply. When all are done nothing reads the weights any more, and each thread
multiplies for its share of their rows, the blocks in order. No gradient of a weight is ever stored.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import accumulate, groupby
from typing import Any, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import size
from chainrule.program.blocks import BlockedBatch, shares
from chainrule.program.engine import KEPT, Work
from chainrule.program.kernels import Item, Kernels
from chainrule.program.operations import Operation, Value
from chainrule.program.plan import Plan, Roots
from chainrule.program.program import Program
from chainrule.program.replay import Arrays
from chainrule.program.row_blocks import Cut

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


# Weights of a matrix from which on it pays: fewer are still in the nearest cache when their gradient is read.
MANY = 10_000
# Columns of a matrix from which on: a BLAS adds slowly onto rows that are shorter than a vector.
WIDE = 16
# Weights of a matrix from which on it pays with several threads, whose products are then of fewer rows each.
MANY_FOR_THREADS = 500_000


class Split(NamedTuple):
    """The program of a block without the products that make its weights' gradients.

    It puts out the loss, the rest of the gradient run by run, and what the products multiply.
    """

    program: Program
    products: Products
    runs: list[Run]


@lru_cache(maxsize=KEPT)
def split(program: Program, places: tuple[int, ...]) -> Split:
    """Return the program of a loss and a gradient without the products that make these places of it."""
    L, g = program.outputs
    gradient = next(op for op in program.operations if op.result is g)
    found = weight_products(program, gradient)
    products = {start: found[start] for start in places}
    runs = rest(gradient, products)
    joined = [_join(run, g) for run in runs]
    factors = {id(value): value for product in products.values() for value in product.inputs}
    gone = {id(gradient), *map(id, products.values())}
    operations = (*(op for op in program.operations if id(op) not in gone), *joined)
    outputs = (L, *(op.result for op in joined), *factors.values())
    made = Program(program.inputs, outputs, operations).without_dead_code()
    return Split(made, products, runs)


def _join(run: Run, g: Value) -> Operation:
    return Operation("concat", run.parts, Value((run.where.stop - run.where.start,), g.dtype))


def places(work: Work, rows: int, cut: Cut, kernels: Kernels) -> tuple[int, ...]:
    """Return which weights products go straight into, by where they start in the parameters.

    Only in plain gradient descent, and only where each thread has one block, so that what its products
    multiply is still there when all are done.
    """
    if kernels.subtract is None or cut.blocks > 1 or work.progress[1]:
        return ()
    found = descent(work.plan(rows).program)
    least = MANY if cut.threads == 1 else MANY_FOR_THREADS
    made = {} if found is None else {start: op.result for start, op in found.products.items()}
    return tuple(s for s, W in made.items() if size(W.shape) >= least and W.shape[-1] >= WIDE)


class DescendingBatch(BlockedBatch):
    """A step of plain gradient descent on one batch size, one block a thread.

    Takes what ``BlockedBatch`` takes, and the ``places`` of the weights that products go straight into.
    """

    def __init__(self, *given: Any, places: tuple[int, ...]) -> None:
        self._places = places
        self._splits: dict[int, Split] = {}  # by the id of their program
        self._blocks: list[tuple[Split, Arrays]] = []  # of each thread
        super().__init__(*given)

    def _program(self, size: int, first: int) -> Program:
        found = split(super()._program(size, first), self._places)
        self._splits[id(found.program)] = found
        return found.program

    def _gradient_of(self, made: Plan, thread: int) -> list[np.ndarray]:
        g = self._gradients[thread]  # (P,), of which no more than the runs is ever touched
        return [g[run.where] for run in self._splits[id(made.program)].runs]

    def _are_made(self, made: Plan, arrays: Arrays) -> None:
        self._blocks.append((self._splits[id(made.program)], arrays))

    def _finish(self) -> list[list[list[Item]]]:
        """Return the update as phases: the products, shared by the weights' rows; then the rest."""
        theta = self._work.progress[0]
        threads: list[list[Item]] = [[] for _ in range(self._cut.threads)]
        for start in self._blocks[0][0].products:
            for items, more in zip(threads, self._onto(start), strict=True):
                items.extend(more)
        phases = [threads]
        for run in self._blocks[0][0].runs:
            progress = self._work.progress._replace(theta=theta[run.where])
            phases += self._update(progress, [g[run.where] for g in self._gradients])
        return phases

    def _onto(self, start: int) -> list[list[Item]]:
        """Return what each thread does for the weights that lie there: the blocks in order, on its rows."""
        theta, found = self._work.progress[0], self._blocks[0][0].products[start]
        n_in, n_out = found.result.shape
        W = theta[start : start + n_in * n_out].reshape(n_in, n_out)  # (n_in, n_out)
        return [
            [
                self._subtract(block, start, W, where)
                for block in self._blocks
                if where.stop > where.start
            ]
            for where in shares(n_in, self._cut.threads)
        ]

    def _subtract(self, block: tuple[Split, Arrays], start: int, W: np.ndarray, where: slice) -> Item:
        found, arrays = block
        A, B = (arrays.of(value) for value in found.products[start].inputs)  # (n_in, n), (n, n_out)
        subtract = self._kernels.subtract
        assert subtract is not None  # noqa: S101  else there are no such places
        return subtract(self._rate, A[where], B, W[where])
