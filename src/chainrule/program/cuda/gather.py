"""Gather: one kernel that copies the rows of a batch, of all its arrays."""

from collections.abc import Sequence
from typing import Final

from chainrule.program.cuda.expressions import STORED
from chainrule.program.cuda.geometry import STREAMING_BLOCKS
from chainrule.program.cuda.loop import THREADS, WARP
from chainrule.program.cuda.source import KernelText

BLOCK: Final = (WARP, THREADS // WARP)  # one warp per row


def gather_grid(rows: int, multiprocessors: int) -> tuple[int, int]:
    """Return the grid of the kernel: enough blocks for the rows, but no more than keep the device busy.

    Examples
    --------
    >>> gather_grid(100, 132), gather_grid(10**6, 132)
    ((13, 1), (2112, 1))
    """
    return min(-(-rows // BLOCK[1]), multiprocessors * STREAMING_BLOCKS), 1


def gather(dtypes: Sequence[str]) -> KernelText:
    """Return the kernel that copies rows of arrays of these dtypes.

    Its arguments are the number of rows, their places in the sources (int64), and for each array its number of columns,
    the source and the target.

    Examples
    --------
    >>> gather(["float32"]).name
    'gather_float32'
    """
    parameters = ["const long long rows", "const long long *order"]
    body = []
    for number, dtype in enumerate(dtypes):
        kind = STORED[dtype]
        parameters += [
            f"const long long columns{number}", f"const {kind} *from{number}", f"{kind} *to{number}"
        ]  # fmt: skip
        row, source = f"to{number} + row * columns{number}", f"from{number} + source * columns{number}"
        body.append(f"    block.copy_row({row}, {source}, columns{number});")
    name = "_".join(["gather", *dtypes])
    lines = [
        f'extern "C" __global__ void __launch_bounds__({THREADS}) {name}({", ".join(parameters)}) {{',
        "  const Block block = own_block();",
        "  const long long first = blockIdx.x * (long long)blockDim.y + threadIdx.y;",
        "  for (long long row = first; row < rows; row += gridDim.x * (long long)blockDim.y) {",
        "    const long long source = order[row];",
        *body,
        "  }",
        "}\n",
    ]
    return KernelText(name, "\n".join(lines))
