"""Descending: gradient descent on parts of a batch, their products subtracted from the weights themselves.

``W <- W - lr Σ_b X_b' dL_dZ_b``: each thread goes forward and backward over its rows as in ``blocks``, up to what
the products multiply. When all are done nothing reads the weights any more, and each thread multiplies for its
share of their rows, the blocks in order. No gradient of a weight is ever stored.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import size
from chainrule.program.blocks import BlockedBatch, shares
from chainrule.program.descent import Products, Run, descent, rest, weight_products
from chainrule.program.engine import KEPT, Work
from chainrule.program.kernels import Item, Kernels
from chainrule.program.operations import Operation, Value
from chainrule.program.plan import Plan
from chainrule.program.program import Program
from chainrule.program.replay import Arrays
from chainrule.program.row_blocks import Cut

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
