"""A chain: a sequence of elementwise operations over one (rows, columns) shape, which becomes ONE kernel.

The chain is plain data. `native/chain_printer.py` prints it for the CPU, `cuda/source.py` for CUDA devices. A chain may
also contain *row statements*, `row_max` and `row_sum` over the last axis (a softmax works row by row, in L1), and *total
sums* into 0-d outputs. On CUDA it may also contain sums over the rows, which are the gradients of biases, and products with
a *thin* matrix, which has few columns. Its other functions are the elementwise primitives.

>>> x, b = Operand("x", "full", "float32"), Operand("b", "row", "float32")
>>> bias_tanh = Chain((x, b), (Statement("add", "z", ("x", "b")), Statement("tanh", "a", ("z",))), (Output("a"),))
>>> bias_tanh.kinds["a"], bias_tanh.dtypes["a"], bias_tanh.stages["a"]
('full', 'float32', 0)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from chainrule.program.primitives import PRIMITIVES

if TYPE_CHECKING:
    from collections.abc import Mapping

# Shapes: (rows, columns), (1, columns), (rows, 1), (), (rows, few), (few, columns), (columns, few).
Kind = Literal["full", "row", "column", "scalar", "thin", "few rows", "few columns"]
Number = bool | int | float
Argument = str | Number  # the name of an operand or of an earlier result, or a Python number

# On CUDA only: values are computed in float32 and rounded when stored.
HALVES: Final = ("float16", "bfloat16")
DTYPES: Final = ("bool", "int32", "uint32", "int64", "float32", "float64", *HALVES)
ROW_FUNCTIONS: Final = ("row_max", "row_sum")


class Operand(NamedTuple):
    """An array that a chain reads: contiguous along its last axis; its rows may be strided, or it is broadcast."""

    name: str
    kind: Kind
    dtype: str
    few: int = 0  # for the last three kinds, how many numbers a row or column has


class Statement(NamedTuple):
    """`result = function(*arguments)`; `dtype` is the dtype of the result of `astype`, and of a `where` of two numbers.

    On CUDA, `dot` multiplies a row of a thin operand by a column of another one. If these have many numbers, the chain has few columns.
    """

    function: str
    result: str
    arguments: tuple[Argument, ...]
    dtype: str = ""


class Output(NamedTuple):
    """A value that a chain writes; with `total`, its sum over all entries, 0-d; with `columns`, its sum over the rows."""

    value: str
    total: bool = False
    columns: bool = False  # (1, columns)
    by: str = ""  # with `columns`: a thin operand, whose row is multiplied by the value before the sum
    turned: bool = False  # with `by`: the sum is transposed, (columns, few); `few`: the columns of `by`


class _Facts(NamedTuple):
    kind: Kind
    dtype: str
    stage: int


@dataclass(frozen=True)
class Chain:
    """Statements in order: each reads operands and earlier results, and each name is used once.

    An output may be the array of an input (same address, same strides): an entry is read before it is
    written. Arrays may not overlap in any other way.
    """

    inputs: tuple[Operand, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[Output, ...]

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The broadcast kind of each value."""
        return {name: facts.kind for name, facts in self._facts.items()}

    @cached_property
    def dtypes(self) -> Mapping[str, str]:
        """The dtype of each value."""
        return {name: facts.dtype for name, facts in self._facts.items()}

    @cached_property
    def stages(self) -> Mapping[str, int]:
        """The pass over a row in which each value is known; a row statement is known one pass after its argument."""
        return {name: facts.stage for name, facts in self._facts.items()}

    @cached_property
    def flattens(self) -> bool:
        """Whether contiguous operands may run as one long row: no operand and no statement depends on rows."""
        return all(facts.kind in ("full", "scalar") for facts in self._facts.values())

    @cached_property
    def _facts(self) -> dict[str, _Facts]:
        facts = {operand.name: _Facts(operand.kind, operand.dtype, 0) for operand in self.inputs}
        for statement in self.statements:
            facts[statement.result] = _derive(statement, facts)
        return facts


def _derive(statement: Statement, facts: Mapping[str, _Facts]) -> _Facts:
    """Return the facts of a statement's result, from those of its arguments."""
    function, _, arguments, target = statement
    operands = [facts[name] for name in arguments if isinstance(name, str)]
    if function == "dot":
        return _Facts("full", operands[0].dtype, 0)
    stage = max(fact.stage for fact in operands)
    if function in ROW_FUNCTIONS:
        return _Facts("column", operands[0].dtype, stage + 1)
    chosen = operands[1:] if function == "where" else operands  # the first one is the condition
    dtype = target or PRIMITIVES[function].gives or chosen[0].dtype
    kinds = {fact.kind for fact in operands} - {"scalar"}
    return _Facts(kinds.pop() if len(kinds) == 1 else "full" if kinds else "scalar", dtype, stage)
