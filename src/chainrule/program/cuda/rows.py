"""Rows: the loop of a kernel with row statements, a warp or a part of one to each row."""

from collections.abc import Iterable

from chainrule.program.chains import ROW_FUNCTIONS, Statement
from chainrule.program.cuda.expressions import REGISTERS, assignment
from chainrule.program.cuda.loop import Loop, indented

_NEUTRAL = {"row_sum": "0", "row_max": "-INFINITY"}
_ACROSS = {"row_sum": "block.sum_over_row", "row_max": "block.max_over_row"}


def rows(loop: Loop) -> list[str]:
    """Return the loop over the rows."""
    chain = loop.chain
    last = max(chain.stages.values())
    body = [
        "const long long row = base + threadIdx.y;",
        "const bool live = row < rows;",
        *(
            f"const {REGISTERS[o.dtype]} {o.name} = live ? value_of({o.name}_[row]) : 0;"
            for o in loop.operands("column")
        ),
        *loop.thin(),
    ]
    for stage in range(last + 1):
        narrow = [s for s in chain.statements if _is_narrow(loop, s) and chain.stages[s.result] == stage]
        body += [assignment(statement, chain) for statement in narrow]
        body += _pass(loop, stage, is_last=stage == last)
    column = loop.stored("column")
    # What a row knows may lie where another such number lay: all of its threads have read that by now.
    body += ["__syncwarp();"] if column else []
    body += [f"if (live && threadIdx.x == 0) store({n}_ + row, {n});" for n in column]
    for number, output in enumerate(chain.outputs):
        if output.total and chain.kinds[output.value] == "column":
            body.append(f"if (live && threadIdx.x == 0) total{number} += {output.value};")
    start, step = "blockIdx.y * (long long)blockDim.y", "gridDim.y * (long long)blockDim.y"
    head = f"for (long long base = {start}; base < rows; base += {step}) {{"
    return [head, *indented(body), "}"]


def _pass(loop: Loop, stage: int, *, is_last: bool) -> list[str]:
    """Return one pass over the columns of a row: towards its maxima and sums, or the stores."""
    chain = loop.chain
    found = [
        s
        for s in chain.statements
        if s.function in ROW_FUNCTIONS and chain.stages[s.result] == stage + 1
    ]
    wanted = [str(s.arguments[0]) for s in found]
    work = [_combined(s) for s in found]
    if is_last:
        full = loop.stored("full")
        wanted = [o.value for o in chain.outputs if chain.kinds[o.value] == "full"]
        work = [f"store({name}_ + at, {name});" for name in full] + loop.added("i")
    if not wanted:
        return []
    walk = "for (long long column = threadIdx.x; column < columns; column += blockDim.x) {"
    if is_last and loop.kept:
        walk = f"#pragma unroll\nfor (int i = 0; i < {loop.kept}; i++) {{"
    return [
        *(f"{_kept_in(loop, s)} {s.result}_so_far = {_NEUTRAL[s.function]};" for s in found),
        *walk.split("\n"),
        *indented(_entry(loop, wanted, work, kept=is_last and bool(loop.kept))),
        "}",
        *(
            f"const {REGISTERS[chain.dtypes[s.result]]} {s.result} = {_ACROSS[s.function]}({s.result}_so_far);"
            for s in found
        ),
    ]


def _kept_in(loop: Loop, statement: Statement) -> str:
    is_sum = statement.function == "row_sum"
    return loop.sums if is_sum else REGISTERS[loop.chain.dtypes[statement.result]]


def _entry(loop: Loop, wanted: list[str], work: list[str], *, kept: bool) -> list[str]:
    """Return what is done with one entry of a row."""
    chain = loop.chain
    needed = _needed(loop, wanted)
    loads = [
        f"const {REGISTERS[o.dtype]} {o.name} = value_of({o.name}_[{'at' if o.kind == 'full' else 'column'}]);"
        for o in (*loop.operands("full"), *loop.operands("row"))
        if o.name in needed
    ]
    few = (*loop.operands("few rows"), *loop.operands("few columns"))
    if any(o.name in needed for o in few):
        loads += [f"{REGISTERS[o.dtype]} {o.name}_column[{o.few}];" for o in few]
        loads += loop.few_of_column("column")
    made = [s for s in chain.statements if s.result in needed and not _is_known(loop, s)]
    column = ["const long long column = threadIdx.x + i * blockDim.x;"] if kept else []
    return [
        *column,
        "if (live && column < columns) {",
        "  [[maybe_unused]] const long long at = row * columns + column;",
        *indented([*loads, *(assignment(s, chain) for s in made), *work]),
        "}",
    ]


def _needed(loop: Loop, wanted: Iterable[str]) -> set[str]:
    """Return the values that others depend on, themselves among them, down to what a row knows."""
    makers = {s.result: s for s in loop.chain.statements}
    needed: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name in needed:
            continue
        needed.add(name)
        if name in makers and not _is_known(loop, makers[name]):
            left += [a for a in makers[name].arguments if isinstance(a, str)]
    return needed


def _is_known(loop: Loop, statement: Statement) -> bool:
    """Return whether a statement's result is one for the row, or one for all: known before a pass."""
    return loop.chain.kinds[statement.result] in ("column", "scalar")


def _is_narrow(loop: Loop, statement: Statement) -> bool:
    return _is_known(loop, statement) and statement.function not in ROW_FUNCTIONS


def _combined(statement: Statement) -> str:
    so_far, x = f"{statement.result}_so_far", statement.arguments[0]
    return (
        f"{so_far} += {x};" if statement.function == "row_sum" else f"{so_far} = larger({so_far}, {x});"
    )
