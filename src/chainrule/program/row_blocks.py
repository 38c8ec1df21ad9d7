"""The rule for how a batch is cut into row blocks: from shapes, cores and cache, never from timing.

A gradient is a sum over rows, so a batch may run as blocks of rows, in threads, with BLAS at one
thread. The same shapes on the same machine with the same number of threads give the same blocks, the
same order of addition, and so the same bits.
"""

from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from chainrule.program import machine
from chainrule.program.operations import Program

# A step below this takes some 20 us, and two hand-offs between threads some 5.
_SHARED_FLOPS = 2_500_000
# A thread with fewer rows than this multiplies matrices at a lower rate.
_SHARED_ROWS = 24
# Without native code each call of a block may wait some 10 us for the interpreter's lock; a call with so
# many FLOPs to its thread takes several times as long.
_SHARED_FLOPS_A_CALL = 1_400_000
# Where each byte of an activation meets this many FLOPs, the products are all that counts, and a BLAS
# with threads of its own runs those best: interpreted blocks would gain nothing.
_PRODUCTS_ALONE = 100
_PASSES = 3  # products of a weight: forward, its gradient, and that of what it multiplies


class Cut(NamedTuple):
    """How a batch is cut: the number of threads, and of blocks in each."""

    threads: int
    blocks: int

    def sizes(self, rows: int) -> list[int]:
        """Return the rows of each block, the larger ones first.

        Examples
        --------
        >>> Cut(threads=2, blocks=2).sizes(10)
        [3, 3, 2, 2]
        """
        count = self.threads * self.blocks
        return [rows // count + (number < rows % count) for number in range(count)]

    def spans(self, rows: slice) -> list[slice]:
        """Return where each block of these rows lies.

        Examples
        --------
        >>> Cut(threads=2, blocks=1).spans(slice(10, 15))
        [slice(10, 13, None), slice(13, 15, None)]
        """
        ends = accumulate(self.sizes(rows.stop - rows.start), initial=rows.start)
        return [slice(*pair) for pair in pairwise(ends)]


def cut(program: Program, rows: int, threads: int, *, native: bool) -> Cut:
    """Return the cut for a batch of ``rows`` rows.

    One thread where the step is too small to share. Else one for each that may be used, and in it
    blocks whose rows (samples, activations, deltas) fill half of the second-level cache; but no
    smaller than where reading the weights and adding to their gradient, once a block, would outweigh
    the rows themselves.

    Parameters
    ----------
    program
        The whole step on all the rows.
    rows
        Those of the batch.
    threads
        How many may be used.
    native
        Whether blocks run as native code, without the interpreter's lock.
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
    """Return whether the products of an undivided batch do best in one thread of their BLAS.

    That is where they are small and the weights stay in the cache of the core that changes them, and where
    each product has one row and goes through its weights once: with more threads they would move from core to
    core at every step.
    """
    small = rows < 2 * _SHARED_ROWS or _PASSES * 2 * theta.size * rows < _SHARED_FLOPS
    return rows == 1 or (small and theta.nbytes <= machine.l2_bytes() / 2)


def _row_bytes(program: Program, rows: int) -> float:
    """Return the bytes of a row: its samples, and what the products make of them."""
    made = [op.result for op in program.operations if op.is_matrix_product]
    activations = sum(value.nbytes for value in made if value.shape[-2] == rows)
    samples = next(value.nbytes for value in program.inputs if value.name == "X")
    return (activations + samples) / rows
