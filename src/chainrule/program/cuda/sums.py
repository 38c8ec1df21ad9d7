"""Sums: what the blocks of a kernel found, added up by the last of them, always in the same order.

Each block writes its part to memory and counts itself; the block that finds all others counted adds the
parts. So a sum over all rows needs no launch of its own and no atomic addition, whose order would be
another one in every run.
"""

from chainrule.program.cuda.loop import THREADS, Loop, indented


def declared(loop: Loop) -> list[str]:
    """Return the variables of a thread that sums are kept in."""
    lines = []
    for number, output in enumerate(loop.chain.outputs):
        if output.columns:
            lines.append(f"{loop.sums} sum{number}[{loop.lanes}] = {{}};")
        elif output.total:
            lines.append(f"{loop.sums} total{number} = 0;")
    return lines


def finished(loop: Loop, last: list[str]) -> list[str]:
    """Return the end of a kernel: all sums written, and then what one thread does, which knows the totals."""
    sums = [n for n, output in enumerate(loop.chain.outputs) if output.columns]
    totals = [n for n, output in enumerate(loop.chain.outputs) if output.total]
    if not sums and not totals:
        return []
    each = f"for (int i = 0; i < {loop.lanes}; i++)"
    lines = [f"{loop.sums} *const shared = sums_memory<{loop.sums}, {THREADS}>();"]
    for place, n in enumerate(sums):
        part = f"block.put_part(sum{n}[i], {_parts(place)}, {loop.column}, columns, shared);"
        lines += ["#pragma unroll", f"{each} {part}"]
    if totals:
        # Their parts lie after those of the columns.
        lines += [
            "const unsigned int blocks = gridDim.x * gridDim.y;",
            f"{loop.sums} *const of_totals = {_parts(len(sums))};",
        ]
    for place, n in enumerate(totals):
        lines.append(f"block.put_total(total{n}, of_totals + {place} * (long long)blocks, shared);")
    if sums:
        lines.append("if (block.is_last(counters + blockIdx.x, gridDim.y)) {")
        for place, n in enumerate(sums):
            lines.append(
                f"  {each} block.put_sum(out{n}_, {_parts(place)}, {loop.column}, columns, shared);"
            )
        lines.append("}")
    if totals:
        lines.append("if (block.is_last(counters + gridDim.x, blocks)) {")
        for place, n in enumerate(totals):
            lines.append(
                f"  total{n} = block.sum_of_totals(of_totals + {place} * (long long)blocks, shared);"
            )
        lines += ["  if (threadIdx.x == 0 && threadIdx.y == 0) {", *indented(last, 2), "  }", "}"]
    return lines


def _parts(place: int) -> str:
    """Return where the parts of a sum over rows begin: a part for each block's row of blocks and column."""
    return f"parts + {place} * (long long)gridDim.y * columns"
