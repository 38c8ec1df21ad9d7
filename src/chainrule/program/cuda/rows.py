"""Rows: the loop of a kernel with row statements, a warp or a part of one to each row."""

from collections.abc import Iterable

from chainrule.program.chains import ROW_FUNCTIONS
from chainrule.program.cuda.expressions import REGISTERS, assignment
from chainrule.program.cuda.loop import Loop, indented

# How a row is reduced: the initial value, how an entry is added, and how the threads combine their results.
_REDUCED = {
    "row_sum": ("0", "{0} += {1};", "block.sum_over_row"),
    "row_max": ("-INFINITY", "{0} = larger({0}, {1});", "block.max_over_row"),
}


def rows(loop: Loop) -> list[str]:
    """Return the loop over the rows."""
    chain = loop.chain
    body = [
        "const long long row = base + threadIdx.y;",
        "const bool live = row < rows;",
        *(
            f"const {REGISTERS[o.dtype]} {o.name} = live ? value_of({o.name}_[row]) : 0;"
            for o in loop.operands("column")
        ),
        *loop.thin(),
    ]
    body += _at_once(loop) if 0 < loop.columns <= loop.across else _passes(loop)
    column = loop.stored("column")
    # A result of a row may overwrite an operand of the row, which all threads have read by now.
    body += ["__syncwarp();"] if column else []
    body += [f"if (live && threadIdx.x == 0) store({n}_ + row, {n});" for n in column]
    for number, output in enumerate(chain.outputs):
        if output.total and chain.kinds[output.value] == "column":
            body.append(f"if (live && threadIdx.x == 0) total{number} += {output.value};")
    start, step = "blockIdx.y * (long long)blockDim.y", "gridDim.y * (long long)blockDim.y"
    head = f"for (long long base = {start}; base < rows; base += {step}) {{"
    return [head, *indented(body), "}"]


def _at_once(loop: Loop) -> list[str]:
    """Return the computation on a row with a thread for each column: all loads come first, and nothing is computed twice."""
    chain = loop.chain
    few = [*loop.operands("few rows"), *loop.operands("few columns")]
    lines = [
        "const long long column = threadIdx.x;",
        "[[maybe_unused]] const long long at = row * columns + column;",
        "const bool here = live && column < columns;",
        *(
            f"const {REGISTERS[o.dtype]} {o.name} = here ? value_of({o.name}_[{place}]) : 0;"
            for kind, place in (("full", "at"), ("row", "column"))
            for o in loop.operands(kind)
        ),
        *(f"{REGISTERS[o.dtype]} {o.name}_column[{o.few}] = {{}};" for o in few),
        *(f"if (here) {load}" for load in loop.few_of_column("column")),
    ]
    for stage in range(max(chain.stages.values()) + 1):
        now = [s for s in chain.statements if chain.stages[s.result] == stage]
        lines += [loop.statement(s) for s in now if s.function not in ROW_FUNCTIONS]
        for s in chain.statements:
            if s.function in ROW_FUNCTIONS and chain.stages[s.result] == stage + 1:
                start, _, across = _REDUCED[s.function]
                kind = REGISTERS[chain.dtypes[s.result]]
                entry = f"({loop.sums if s.function == 'row_sum' else kind}){s.arguments[0]}"
                lines.append(f"const {kind} {s.result} = {across}(here ? {entry} : {start});")
    stores = [f"store({name}_ + at, {name});" for name in loop.stored("full")]
    return [*lines, "if (here) {", *indented([*stores, *loop.added("0")]), "}"]


def _passes(loop: Loop) -> list[str]:
    """Return one pass over a row for each stage of the chain."""
    chain, lines = loop.chain, list[str]()
    last = max(chain.stages.values())
    for stage in range(last + 1):
        for s in chain.statements:  # statements on numbers of the row, once for all columns
            if (
                s.result in _known(loop)
                and s.function not in ROW_FUNCTIONS
                and chain.stages[s.result] == stage
            ):
                lines.append(assignment(s, chain))
        lines += _pass(loop, stage, is_last=stage == last)
    return lines


def _pass(loop: Loop, stage: int, *, is_last: bool) -> list[str]:
    """Return one pass over the columns of a row: for its maxima and sums, or for the stores."""
    chain, before, after = loop.chain, list[str](), list[str]()
    wanted, work = list[str](), list[str]()
    for s in chain.statements:
        if s.function in ROW_FUNCTIONS and chain.stages[s.result] == stage + 1:
            start, taken_in, across = _REDUCED[s.function]
            kind, so_far = REGISTERS[chain.dtypes[s.result]], f"{s.result}_so_far"
            before.append(f"{loop.sums if s.function == 'row_sum' else kind} {so_far} = {start};")
            after.append(f"const {kind} {s.result} = {across}({so_far});")
            wanted.append(str(s.arguments[0]))
            work.append(taken_in.format(so_far, s.arguments[0]))
    if is_last:
        wanted = [o.value for o in chain.outputs if chain.kinds[o.value] == "full"]
        work = [f"store({name}_ + at, {name});" for name in loop.stored("full")] + loop.added("i")
    if not wanted:
        return []
    walk = ["for (long long column = threadIdx.x; column < columns; column += blockDim.x) {"]
    column = list[str]()
    if is_last and loop.kept:
        walk = ["#pragma unroll", f"for (int i = 0; i < {loop.kept}; i++) {{"]
        column = ["const long long column = threadIdx.x + i * blockDim.x;"]
    return [*before, *walk, *indented([*column, *_entry(loop, wanted, work)]), "}", *after]


def _entry(loop: Loop, wanted: list[str], work: list[str]) -> list[str]:
    """Return the lines for one entry of a row."""
    chain, needed = loop.chain, _needed(loop, wanted)
    loads = [
        f"const {REGISTERS[o.dtype]} {o.name} = value_of({o.name}_[{'at' if o.kind == 'full' else 'column'}]);"
        for o in (*loop.operands("full"), *loop.operands("row"))
        if o.name in needed
    ]
    few = (*loop.operands("few rows"), *loop.operands("few columns"))
    if any(o.name in needed for o in few):
        loads += [f"{REGISTERS[o.dtype]} {o.name}_column[{o.few}];" for o in few]
        loads += loop.few_of_column("column")
    makers = [s for s in chain.statements if s.result in needed - _known(loop)]
    return [
        "if (live && column < columns) {",
        "  [[maybe_unused]] const long long at = row * columns + column;",
        *indented([*loads, *(assignment(s, chain) for s in makers), *work]),
        "}",
    ]


def _needed(loop: Loop, wanted: Iterable[str]) -> set[str]:
    """Return some values and those that they depend on, back to values that are known for the whole row."""
    makers = {s.result: s for s in loop.chain.statements if s.result not in _known(loop)}
    needed, left = set[str](), list(wanted)
    while left:
        name = left.pop()
        if name not in needed and name in makers:
            left += [argument for argument in makers[name].arguments if isinstance(argument, str)]
        needed.add(name)
    return needed


def _known(loop: Loop) -> set[str]:
    """Return the values of one number for the row, or for all rows: they are known before a pass over the columns."""
    return {name for name, kind in loop.chain.kinds.items() if kind in ("column", "scalar")}
