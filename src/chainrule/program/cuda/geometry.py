"""Geometry: how many threads and blocks a kernel is launched with, and how much memory its sums take."""

from typing import NamedTuple

from chainrule.mathematics.arrays import size
from chainrule.program.cuda.expressions import BYTES
from chainrule.program.cuda.loop import STRIP, THIN, THREADS, WARP, Loop, form_of
from chainrule.program.cuda.lowering import Fused
from chainrule.program.fusion import Extent

PACK_BYTES = 16  # most bytes that a thread loads or stores at once
STREAMING_BLOCKS = 16  # per multiprocessor if nothing is summed: enough to hide the memory latency
SUMMING_BLOCKS = 4  # per multiprocessor if each block writes a partial sum
THIN_BLOCKS = 2  # likewise, if the partial sum is an outer product: no more fit
THIN_PARTS = 4  # partial outer products that each thread of the last block adds up
MOST_NUMBERS = 96  # entries of thin products that a thread keeps in registers


class Launch(NamedTuple):
    """The launch of a kernel: its loop, the grid that it runs over, blocks and threads."""

    loop: Loop
    where: Extent
    grid: tuple[int, int]
    block: tuple[int, int]

    @property
    def parts(self) -> int:
        """How many parts of sums the blocks write."""
        outputs = self.loop.chain.outputs
        columns = sum(map(self.loop.part_lanes, outputs)) * self.block[0]
        return (columns + sum(output.total for output in outputs)) * size(self.grid)

    @property
    def part_bytes(self) -> int:
        """The bytes of those parts."""
        return self.parts * (8 if self.loop.sums == "double" else 4)

    @property
    def counters(self) -> int:
        """How many counters of blocks it needs."""
        return self.grid[0] + 1 if self.parts else 0


def launch(kernel: Fused, multiprocessors: int, *, aligned: bool, strip: int = STRIP) -> Launch:
    """Return how a kernel is launched.

    The shapes alone decide, so that the same network on the same device adds in the same order.

    Parameters
    ----------
    kernel
        The chain over its grid.
    multiprocessors
        The number of those of the device.
    aligned
        Whether all full arrays begin at multiples of 16 bytes.
    strip
        The most columns of a block that sums over rows.

    Examples
    --------
    >>> from chainrule.program.chains import Chain, Operand, Output, Statement
    >>> tanh = Chain((Operand("x0", "full", "float32"),), (Statement("tanh", "r0", ("x0",)),), (Output("r0"),))
    >>> kernel = launch(Fused(tanh, None, Extent(64, 128), (), ()), 132, aligned=True)
    >>> kernel.loop.width, kernel.where, kernel.grid, kernel.block
    (4, Extent(rows=1, columns=8192), (8, 1), (256, 1))
    """
    form, where = form_of(kernel.chain), kernel.where
    if form == "row":
        return _rows(kernel, multiprocessors, aligned=aligned)
    if form == "flat":
        where = Extent(1, where.rows * where.columns)
    sums_rows = any(output.columns for output in kernel.chain.outputs)
    sums = sums_rows or any(output.total for output in kernel.chain.outputs)
    is_thin = any(output.by for output in kernel.chain.outputs)
    most = multiprocessors * (THIN_BLOCKS if is_thin else SUMMING_BLOCKS if sums else STREAMING_BLOCKS)
    # The rest of one long row is read entry by entry; all rows of a tile must begin at a whole vector.
    width = _width(kernel, 0 if form == "flat" else where.columns) if aligned else 1
    if form == "flat":
        blocks = _ceil(where.columns, THREADS * width)
        return Launch(
            Loop(kernel.chain, width), where, (min(blocks, most) if sums else blocks, 1), (THREADS, 1)
        )
    # Blocks with few columns get more rows; the last block of each column range adds its partial sums.
    across = min(strip // width if sums_rows else WARP, WARP, _power_of_two(_ceil(where.columns, width)))
    columns = _ceil(where.columns, across * width)
    down = THREADS // across
    rows = min(_ceil(where.rows, down), max(1, most // columns), THIN_PARTS * down if is_thin else 65535)
    return Launch(Loop(kernel.chain, width, strip=strip), where, (columns, rows), (across, down))


def _rows(kernel: Fused, multiprocessors: int, *, aligned: bool) -> Launch:
    where = kernel.where
    across = min(WARP, _power_of_two(where.columns))
    if any(operand.few > THIN for operand in kernel.chain.inputs):
        # The terms of a product take most of the time: a warp has at most four rows, or one if there are few.
        across = max(across, WARP // 4)
        while across < WARP and _ceil(where.rows * across, THREADS) < multiprocessors // 2:
            across *= 2
    down = THREADS // across
    keeps = any(output.columns for output in kernel.chain.outputs)
    kept = _ceil(where.columns, across) if keeps else 0
    loop = Loop(kernel.chain, 4 if aligned else 1, kept, across, where.columns)
    # One block adds up all partial sums: if a thread has several columns, use at most one block per multiprocessor.
    blocks = min(_ceil(where.rows, down), multiprocessors * (1 if loop.kept > 1 else SUMMING_BLOCKS))
    return Launch(loop, where, (1, blocks), (across, down))


def _width(kernel: Fused, columns: int) -> int:
    """Return how many columns a thread moves at once: 16 bytes of the widest dtype, or less to divide the row."""
    kinds = kernel.chain.kinds.items()
    bytes_each = [BYTES[kernel.chain.dtypes[name]] for name, kind in kinds if kind == "full"]
    width = PACK_BYTES // max(bytes_each, default=PACK_BYTES)
    few = sum(operand.few for operand in kernel.chain.inputs if operand.kind.startswith("few"))
    few += sum(Loop(kernel.chain).few(output) for output in kernel.chain.outputs if output.by)
    while columns % width or width * few > MOST_NUMBERS:
        width //= 2
    return max(1, width)


def _ceil(count: int, of: int) -> int:
    return -(-count // of)


def _power_of_two(count: int) -> int:
    """Return the smallest power of two that is not below ``count``."""
    return 1 << (count - 1).bit_length()
