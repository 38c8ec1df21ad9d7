"""Strips: the loops of kernels without row statements, in which each thread has some neighbouring columns."""

from dataclasses import replace

from chainrule.program.cuda.expressions import REGISTERS, STORED, assignment
from chainrule.program.cuda.loop import Loop, indented


def flat(loop: Loop) -> list[str]:
    """Return the loop over one long row: whole vectors, then the rest one entry at a time."""
    start = f"(blockIdx.x * (long long)blockDim.x + threadIdx.x) * {loop.width}"
    step = f"gridDim.x * (long long)blockDim.x * {loop.width}"
    body = [*_packs(loop), *_strip(loop)]
    if loop.width > 1:
        single = replace(loop, width=1)
        rest = ["for (; at < columns; at++) {", *indented([*_packs(single), *_strip(single)]), "}"]
        body = [
            f"if (at + {loop.width} <= columns) {{",
            *indented(body),
            "} else {",
            *indented(rest),
            "}",
        ]
    return [f"for (long long at = {start}; at < columns; at += {step}) {{", *indented(body), "}"]


def tile(loop: Loop) -> list[str]:
    """Return the loop down the rows."""
    down = "long long row = blockIdx.y * (long long)blockDim.y + threadIdx.y"
    columns = [
        f"const {REGISTERS[o.dtype]} {o.name} = value_of({o.name}_[row]);"
        for o in loop.operands("column")
    ]
    return [
        f"const long long first = (blockIdx.x * (long long)blockDim.x + threadIdx.x) * {loop.width};",
        "if (first < columns) {",
        *indented([*_row_operands(loop), *_few(loop)]),
        f"  for ({down}; row < rows; row += gridDim.y * (long long)blockDim.y) {{",
        "    [[maybe_unused]] const long long at = row * columns + first;",
        *indented([*columns, *loop.thin(), *_packs(loop), *_strip(loop)], 2),
        "  }",
        "}",
    ]


def _row_operands(loop: Loop) -> list[str]:
    """Return the loads of operands of one row, one entry at a time, since they may begin anywhere."""
    lines = []
    for operand in loop.operands("row"):
        name = operand.name
        lines.append(f"Pack<{STORED[operand.dtype]}, {loop.width}> {name}_pack;")
        lines.append(f"for (int i = 0; i < {loop.width}; i++) {name}_pack.at[i] = {name}_[first + i];")
    return lines


def _few(loop: Loop) -> list[str]:
    """Return the loads of the few numbers of each of a thread's columns, which it keeps in registers."""
    operands = [*loop.operands("few rows"), *loop.operands("few columns")]
    lines = [f"{REGISTERS[o.dtype]} {o.name}_columns[{loop.width}][{o.few}];" for o in operands]
    loads = loop.few_of_column("first + i", "{}_columns[i]")
    return [*lines, f"for (int i = 0; i < {loop.width}; i++) {{", *indented(loads), "}"] if loads else []


def _packs(loop: Loop) -> list[str]:
    return [
        f"const Pack<{STORED[o.dtype]}, {loop.width}> {o.name}_pack = load<{loop.width}>({o.name}_ + at);"
        for o in loop.operands("full")
    ]


def _strip(loop: Loop) -> list[str]:
    """Return the computation on a thread's columns: all loads come before it, all stores after it."""
    stored = loop.stored("full")
    dtypes = loop.chain.dtypes
    reads = [
        f"const {REGISTERS[o.dtype]} {o.name} = value_of({o.name}_pack.at[i]);"
        for o in (*loop.operands("full"), *loop.operands("row"))
    ]
    few = (*loop.operands("few rows"), *loop.operands("few columns"))
    reads += [f"const auto &{o.name}_column = {o.name}_columns[i];" for o in few]
    return [
        *(f"Pack<{STORED[dtypes[name]]}, {loop.width}> {name}_pack;" for name in stored),
        "#pragma unroll",
        f"for (int i = 0; i < {loop.width}; i++) {{",
        *indented(reads),
        *indented(assignment(s, loop.chain) for s in loop.chain.statements),
        *(f"  store(&{name}_pack.at[i], {name});" for name in stored),
        *indented(loop.added("i")),
        "}",
        *(f"store({name}_ + at, {name}_pack);" for name in stored),
    ]
