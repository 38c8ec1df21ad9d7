"""The rule that cuts a batch into row blocks, based on shapes, cores and caches, never on timing.

A gradient is a sum over rows, so a batch may run as blocks of rows, in threads, with BLAS in one
thread. The same shapes on the same machine with the same number of threads give the same blocks, the
same order of addition, and so the same bits.
"""

from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from chainrule.program import machine
from chainrule.program.operations import Program

# A step below this takes about 20 us, and two hand-offs between threads about 5.
_SHARED_FLOPS = 2_500_000
# A thread with fewer rows than this multiplies matrices at a lower rate.
_SHARED_ROWS = 24
# Without native code each call of a block may wait about 10 us for the GIL; a call with this many FLOPs for each
# thread takes several times as long.
_SHARED_FLOPS_A_CALL = 1_400_000
# With this many FLOPs for each byte of an activation, only the products matter, and a BLAS with its own threads
# computes those fastest: interpreted blocks would gain nothing.
_PRODUCTS_ALONE = 100
_PASSES = 3  # matrix products per weight: forward, dL/dW and dL/dX


class Cut(NamedTuple):
    """How a batch is cut: the number of threads, and the number of blocks of each."""

    threads: int
    blocks: int

    def sizes(self, rows: int) -> list[int]:
        """Return the number of rows of each block, the larger ones first.

        Examples
        --------
        >>> Cut(threads=2, blocks=2).sizes(10)
        [3, 3, 2, 2]
        """
        count = self.threads * self.blocks
        return [rows // count + (number < rows % count) for number in range(count)]

    def spans(self, rows: slice) -> list[slice]:
        """Return the rows of each block, as slices.

        Examples
        --------
        >>> Cut(threads=2, blocks=1).spans(slice(10, 15))
        [slice(10, 13, None), slice(13, 15, None)]
        """
        ends = accumulate(self.sizes(rows.stop - rows.start), initial=rows.start)
        return [slice(*pair) for pair in pairwise(ends)]


def cut(program: Program, rows: int, threads: int, *, native: bool) -> Cut:
    """Return the cut for a batch of ``rows`` rows.

    A step that is too small to share has one thread. Otherwise all threads are used, with blocks whose
    rows (samples, activations, deltas) fill half of the second-level cache. Blocks are never so small that
    reading the weights and adding to their gradient, once for each block, would cost more than the rows.

    Parameters
    ----------
    program
        The whole step on all the rows.
    rows
        The number of rows of the batch.
    threads
        The largest number of threads.
    native
        Whether blocks run as native code, without the GIL.
    """
    row_bytes = _row_bytes(program, rows)
    least = _SHARED_FLOPS if native else _SHARED_FLOPS_A_CALL * program.launches * threads
    too_small = program.flops < least
    few_rows = rows < threads * _SHARED_ROWS
    products_alone = program.flops > _PRODUCTS_ALONE * row_bytes * rows and not native
    if threads == 1 or too_small or few_rows or products_alone:
        return Cut(1, 1)
    weight_bytes = program.inputs[0].nbytes
    block = max(machine.l2_bytes() / 2 / row_bytes, weight_bytes / row_bytes / 2)
    return Cut(threads, min(max(1, round(rows / threads / block)), rows // threads))


def one_core(theta: np.ndarray, rows: int) -> bool:
    """Return whether the products of an undivided batch are fastest in one thread of BLAS.

    This is so if they are small and the weights stay in the cache of the core that changes them, and if the batch
    has one row, so that each product reads its weights once: with more threads, weights would move from core to core
    in each step.
    """
    small = rows < 2 * _SHARED_ROWS or _PASSES * 2 * theta.size * rows < _SHARED_FLOPS
    return rows == 1 or (small and theta.nbytes <= machine.l2_bytes() / 2)


def _row_bytes(program: Program, rows: int) -> float:
    """Return the bytes per row: its samples and the results of products."""
    products = [op.result for op in program.operations if op.is_matrix_product]
    activations = sum(value.nbytes for value in products if value.shape[-2] == rows)
    samples = next(value.nbytes for value in program.inputs if value.name == "X")
    return (activations + samples) / rows
