"""The loop of a kernel: a chain, and how threads are assigned to its rows and columns.

``flat``: one long row, of which each thread takes several columns at once. ``tile``: each thread has some columns and goes down
the rows. ``row``: a warp, or a part of one, has a row and goes over it once for each stage of the chain. A product with few columns
and many terms comes before the first stage: each thread then has the entry of its row and column.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from chainrule.program.chains import ROW_FUNCTIONS, Chain, Operand, Output, Statement
from chainrule.program.cuda.expressions import BYTES, REGISTERS, assignment

Form = Literal["flat", "tile", "row"]
THREADS: Final = 256  # per block
WARP: Final = 32
WARPS: Final = THREADS // WARP
# The most columns of a kernel by rows that sums over rows, since it keeps their sums in registers. The sums of wider rows
# run in another kernel, whose blocks have a few columns each.
KEPT_COLUMNS: Final = 128
# The most columns of a matrix whose products are parts of a chain, and of a product that is, whatever its factors.
THIN: Final = 16
STRIP: Final = 32  # columns per block in a tile kernel that sums over rows: 128 bytes of float32


def form_of(chain: Chain) -> Form:
    """Return how the threads go over a chain."""
    kinds = [chain.kinds[output.value] for output in chain.outputs]
    is_long = any(operand.few > THIN for operand in chain.inputs)
    if is_long or "column" in kinds or any(s.function in ROW_FUNCTIONS for s in chain.statements):
        return "row"
    sums_rows = any(output.columns for output in chain.outputs)
    return "flat" if chain.flattens and not sums_rows else "tile"


@dataclass(frozen=True)
class Loop:
    """A chain, and how many columns a thread has at once, or in all."""

    chain: Chain
    width: int = 1  # flat, tile: columns that a thread loads and stores at once; row: above 1 if they may be several
    kept: int = 0  # row: columns per thread if it keeps their sums; else 0
    across: int = 0  # row: threads per row
    columns: int = 0  # row: columns of the grid
    strip: int = STRIP  # tile: the most columns of a block that sums over rows

    @property
    def form(self) -> Form:
        """How the threads go over it."""
        return form_of(self.chain)

    @property
    def sums(self) -> str:
        """The type that sums are kept in."""
        return "double" if "float64" in self.chain.dtypes.values() else "float"

    def few(self, output: Output) -> int:
        """Return how many sums over the rows an output has for each column."""
        return next((operand.few for operand in self.chain.inputs if operand.name == output.by), 1)

    def lanes(self, output: Output) -> int:
        """Return how many sums over the rows a thread keeps for an output."""
        return self.few(output) * (self.kept if self.form == "row" else self.width)

    def part_lanes(self, output: Output) -> int:
        """Return how many numbers of a thread the parts of a sum have room for: they begin at multiples of 16 bytes."""
        return -(-self.lanes(output) // 4) * 4 if output.columns else 0

    @property
    def shared(self) -> int:
        """How many sums the warps of a block have in all, at most."""
        columns = {"row": KEPT_COLUMNS, "tile": self.strip, "flat": 0}[self.form]
        outputs = self.chain.outputs
        return WARPS * sum(columns * self.few(o) if o.columns else o.total for o in outputs)

    def operands(self, kind: str) -> list[Operand]:
        """Return the operands of a kind, without the factors of products with many terms."""
        return [o for o in self.chain.inputs if o.kind == kind and o.few <= THIN]

    def thin(self) -> list[str]:
        """Return the loads of the rows of thin operands."""
        lines = []
        for o in self.operands("thin"):
            width = self.pack(o)
            lines.append(f"{REGISTERS[o.dtype]} {o.name}_row[{o.few}] = {{}};")
            lines.append(f"if (row < rows) take<{width}>({o.name}_row, {o.name}_ + row * {o.few});")
        return lines

    def pack(self, thin: Operand) -> int:
        """Return how many numbers of a row of a thin operand are loaded at once."""
        return math.gcd(thin.few, 16 // BYTES[thin.dtype]) if self.width > 1 else 1

    def statement(self, statement: Statement) -> str:
        """Return a statement; of a product with many terms, each thread gets the entry of its row and column."""
        operands = {operand.name: operand for operand in self.chain.inputs if operand.few > THIN}
        if statement.arguments[0] not in operands:
            return assignment(statement, self.chain)
        A, W = (operands[str(name)] for name in statement.arguments)
        turned = "true" if W.kind == "few columns" else "false"
        shape = f"{self.across}, {self.columns}, {A.few}, {turned}, {min(4, self.pack(A))}"
        product = f"block.long_dot<{shape}>({A.name}_, {W.name}_, base, rows)"
        return f"const {REGISTERS[A.dtype]} {statement.result} = {product};"

    def few_of_column(self, column: str, name: str = "{}_column") -> list[str]:
        """Return the loads of the few numbers of a column."""
        lines = []
        for o in self.operands("few rows"):
            lines.append(f"take({name.format(o.name)}, {o.name}_ + {column}, columns);")
        for o in self.operands("few columns"):
            lines.append(f"take({name.format(o.name)}, {o.name}_ + ({column}) * {o.few});")
        return lines

    def scalars(self) -> list[str]:
        """Return the loads of scalars."""
        operands = self.operands("scalar")
        return [f"const {REGISTERS[o.dtype]} {o.name} = value_of(*{o.name}_);" for o in operands]

    def stored(self, kind: str) -> list[str]:
        """Return the values of a kind that are stored without a sum."""
        outputs = self.chain.outputs
        return [
            o.value for o in outputs if not (o.total or o.columns) and self.chain.kinds[o.value] == kind
        ]

    def added(self, lane: str) -> list[str]:
        """Return the additions of one entry to the sums."""
        lines = []
        for number, output in enumerate(self.chain.outputs):
            if output.by:
                few = self.few(output)
                term = f"{output.value} * {output.by}_row[k]"
                lines += [
                    "#pragma unroll",
                    f"for (int k = 0; k < {few}; k++) sum{number}[{lane} * {few} + k] += {term};",
                ]
            elif output.columns:
                lines.append(f"sum{number}[{lane}] += {output.value};")
            elif output.total and self.chain.kinds[output.value] == "full":
                lines.append(f"total{number} += {output.value};")
        return lines


def indented(lines: Iterable[str], depth: int = 1) -> list[str]:
    """Return indented lines; directives of the compiler stay at the margin."""
    return [line if line.startswith("#") else "  " * depth + line for line in lines]
