"""Gather: the rows of a batch, of all its arrays at once, as one kernel."""

from collections.abc import Sequence

from chainrule.program.cuda.expressions import STORED
from chainrule.program.cuda.loop import THREADS
from chainrule.program.cuda.source import Text


def gather(dtypes: Sequence[str]) -> Text:
    """Return the kernel that copies rows of so many arrays, of these dtypes.

    Its arguments are the number of rows, which ones (int64), and of each array its columns, the source and
    where to.

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
        body += [
            f"  for (long long at = first; at < rows * columns{number}; at += step)",
            f"    to{number}[at] = from{number}[order[at / columns{number}] * columns{number} + at % columns{number}];",
        ]
    name = "_".join(["gather", *dtypes])
    lines = [
        f'extern "C" __global__ void __launch_bounds__({THREADS}) {name}({", ".join(parameters)}) {{',
        "  const long long first = blockIdx.x * (long long)blockDim.x + threadIdx.x;",
        "  const long long step = gridDim.x * (long long)blockDim.x;",
        *body,
        "}\n",
    ]
    return Text(name, "\n".join(lines))
