"""Sums: what the blocks of a kernel found, added up by the last of them, always in the same order.

Each block writes its part to memory and counts itself; the block that finds all others counted adds the
parts. So a sum over all rows needs no launch of its own and no atomic addition, whose order would be
another one in every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chainrule.program.cuda.loop import THREADS

if TYPE_CHECKING:
    from chainrule.program.cuda.loop import Loop


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
    kind = loop.sums
    lines = [f"__shared__ {kind} shared[{THREADS}];"]
    if totals:
        lines += [
            "const bool is_first = threadIdx.x == 0 && threadIdx.y == 0;",
            "const unsigned int blocks = gridDim.x * gridDim.y, block = blockIdx.y * gridDim.x + blockIdx.x;",
            f"{kind} *const of_totals = parts + {len(sums)} * (long long)gridDim.y * columns;",
        ]
    for place, number in enumerate(sums):
        lines += _column_parts(loop, place, number)
    for place, number in enumerate(totals):
        lines += [
            f"total{number} = sum_over_block(total{number}, shared);",
            f"if (is_first) of_totals[{place} * (long long)blocks + block] = total{number};",
        ]
    if sums:
        lines.append("if (is_last(counters + blockIdx.x, gridDim.y)) {")
        for place, number in enumerate(sums):
            lines += _column_sums(loop, place, number)
        lines.append("}")
    if totals:
        lines.append("if (is_last(counters + gridDim.x, blocks)) {")
        for place, number in enumerate(totals):
            lines += _total(place, number)
        lines += ["  if (is_first) {", *(f"    {line}" for line in last), "  }", "}"]
    return lines


def _column_parts(loop: Loop, place: int, number: int) -> list[str]:
    return [
        "#pragma unroll",
        f"for (int i = 0; i < {loop.lanes}; i++) {{",
        f"  const {loop.sums} part = sum_over_y(sum{number}[i], shared);",
        f"  const long long column = {loop.column};",
        f"  const long long at = ({place} * (long long)gridDim.y + blockIdx.y) * columns + column;",
        "  if (threadIdx.y == 0 && column < columns) parts[at] = part;",
        "}",
    ]


def _column_sums(loop: Loop, place: int, number: int) -> list[str]:
    at = f"({place} * (long long)gridDim.y + y) * columns + column"
    return [
        f"  for (int i = 0; i < {loop.lanes}; i++) {{",
        f"    const long long column = {loop.column};",
        f"    {loop.sums} sum = 0;",
        "    if (column < columns)",
        f"      for (unsigned int y = threadIdx.y; y < gridDim.y; y += blockDim.y) sum += __ldcg(parts + {at});",
        "    sum = sum_over_y(sum, shared);",
        f"    if (threadIdx.y == 0 && column < columns) store(out{number}_ + column, sum);",
        "  }",
    ]


def _total(place: int, number: int) -> list[str]:
    first, step = "threadIdx.y * blockDim.x + threadIdx.x", "blockDim.x * blockDim.y"
    return [
        f"  total{number} = 0;",
        f"  for (unsigned int other = {first}; other < blocks; other += {step})",
        f"    total{number} += __ldcg(of_totals + {place} * (long long)blocks + other);",
        f"  total{number} = sum_over_block(total{number}, shared);",
    ]
