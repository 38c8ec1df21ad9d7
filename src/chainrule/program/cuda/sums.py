"""Sums: the partial sums of a kernel's blocks, added up by the last block, always in the same order.

Each block writes its part to memory and increments a counter; the block that increments it last adds up the parts. So a sum
over all rows needs no separate launch, and no atomic addition, whose order would differ from run to run. A block
that is the only one in its column of blocks writes no parts.
"""

from chainrule.program.chains import Output
from chainrule.program.cuda.loop import WARPS, Loop, indented


def declared(loop: Loop) -> list[str]:
    """Return the declarations of a thread's sums."""
    lines = []
    for number, output in enumerate(loop.chain.outputs):
        if output.columns:
            lines.append(f"{loop.sums} sum{number}[{loop.lanes(output)}] = {{}};")
        elif output.total:
            lines.append(f"{loop.sums} total{number} = 0;")
    return lines


def finished(loop: Loop, last: list[str]) -> list[str]:
    """Return the end of a kernel: it stores all sums, and then one thread runs the lines ``last``, which use the totals."""
    sums = [n for n, output in enumerate(loop.chain.outputs) if output.columns]
    totals = [n for n, output in enumerate(loop.chain.outputs) if output.total]
    if not sums and not totals:
        return []
    outputs = loop.chain.outputs
    # In shared memory, and in the memory for parts, those of the totals follow those of the columns.
    lanes = [loop.lanes(output) if output.columns else 0 for output in outputs]
    part_lanes = list(map(loop.part_lanes, outputs))
    warps = {n: f"shared + {WARPS * sum(lanes[:n])} * blockDim.x" for n in sums}
    parts = {n: _parts(sum(part_lanes[:n]), 0) for n in sums}
    for place, n in enumerate(totals):
        warps[n] = f"shared + {WARPS * sum(lanes)} * blockDim.x + {WARPS * place}"
        parts[n] = _parts(sum(part_lanes), place)
    put = [f"block.put_warps(sum{n}, {warps[n]});" for n in sums]
    lines = [
        f"{loop.sums} *const shared = sums_memory<{loop.sums}, {loop.shared}>();",
        "const unsigned int blocks = gridDim.x * gridDim.y;",
        *put,
        *(f"block.put_warps(total{n}, {warps[n]});" for n in totals),
        "__syncthreads();",
        *(f"if (gridDim.y > 1) block.put_parts<{lanes[n]}>({warps[n]}, {parts[n]});" for n in sums),
    ]
    for n in totals:
        lines.append(f"total{n} = block.sum_of_warps({warps[n]});")
        lines.append(f"if (block.here() == 0 && blocks > 1) ({parts[n]})[block.number()] = total{n};")
    if sums:
        lines += [
            "const bool ends_columns = block.is_last(counters + blockIdx.x, gridDim.y);",
            "if (ends_columns) {",
            "  if (gridDim.y > 1) {",
            *(f"    block.take_parts(sum{n}, {parts[n]});" for n in sums),
            *indented([*put, "__syncthreads();"], 2),
            "  }",
        ]
        for n in sums:
            lines.append(
                f"  block.take_warps<{lanes[n]}>({warps[n]}, [&](unsigned int at, {loop.sums} sum) {{"
            )
            column, index = _column(loop, outputs[n])
            lines.append(f"    const long long column = {column};")
            lines.append(f"    if (column < columns) store(out{n}_ + {index}, sum);")
            lines.append("  });")
        lines.append("}")
    if totals:
        # If one block spans all columns, its last block is also the last of all: count it once.
        others = "gridDim.x == 1 ? ends_columns : " if sums else ""
        lines.append(f"if ({others}block.is_last(counters + gridDim.x, blocks)) {{")
        for n in totals:
            lines.append(f"  if (blocks > 1) total{n} = block.sum_of_totals({parts[n]}, {warps[n]});")
        lines += ["  if (block.here() == 0) {", *indented(last, 2), "  }", "}"]
    return lines


def _column(loop: Loop, output: Output) -> tuple[str, str]:
    """Return the column of the sum at index ``at`` of a block, and the index that it is stored at."""
    if loop.form == "row":
        return f"at / {loop.kept} + at % {loop.kept} * blockDim.x", "column"
    few = loop.few(output)
    column = f"blockIdx.x * (long long)blockDim.x * {loop.width} + at / {few}"
    return column, f"column * {few} + at % {few}" if output.turned else f"at % {few} * columns + column"


def _parts(lanes: int, totals: int) -> str:
    """Return the start of a sum's parts: after the parts of ``lanes`` sums per thread and of ``totals`` totals."""
    return f"parts + blocks * (long long)({lanes} * blockDim.x + {totals})"
