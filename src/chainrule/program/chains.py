"""A chain: a run of elementwise operations over one (rows, columns) shape, to become ONE kernel.

The chain is plain data. Two printers spell it: `native/chain_printer.py` for the CPU, `cuda/source.py` for CUDA devices. A
chain may also hold *row statements*, `row_max` and `row_sum` over the last axis (a softmax works row by row, in L1), and
*total sums* into 0-d outputs; on CUDA also sums over the rows, the gradients of biases, and products with a *thin* matrix, of
a few columns. Its other functions are the elementwise primitives.

>>> x, b = Operand("x", "full", "float32"), Operand("b", "row", "float32")
>>> bias_tanh = Chain((x, b), (Statement("add", "z", ("x", "b")), Statement("tanh", "a", ("z",))), (Output("a"),))
>>> bias_tanh.kinds["a"], bias_tanh.dtypes["a"], bias_tanh.stages["a"]
('full', 'float32', 0)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from chainrule.mathematics.naming import require
from chainrule.program.primitives import ELEMENTWISE, PRIMITIVES

if TYPE_CHECKING:
    from collections.abc import Mapping

# (rows, columns), (1, columns), (rows, 1), (); for a few numbers, (rows, few), (few, columns), (columns, few).
Kind = Literal["full", "row", "column", "scalar", "thin", "few rows", "few columns"]
Number = bool | int | float
Argument = str | Number  # the name of an operand or of an earlier result, or a Python number

# On CUDA alone: computed in float32, rounded where they are stored.
HALVES: Final = ("float16", "bfloat16")
DTYPES: Final = ("bool", "int32", "uint32", "int64", "float32", "float64", *HALVES)
ROW_FUNCTIONS: Final = ("row_max", "row_sum")


class Operand(NamedTuple):
    """An array that a chain reads: its last axis is contiguous, its rows may be strided, or it is broadcast."""

    name: str
    kind: Kind
    dtype: str
    few: int = 0  # how many numbers of a row, or of a column, of the last three kinds


class Statement(NamedTuple):
    """`result = function(*arguments)`; `dtype` is that of the result of `astype`, and of a `where` of two numbers.

    On CUDA, `dot` multiplies the row of a thin operand with the column of another that has as few numbers.
    """

    function: str
    result: str
    arguments: tuple[Argument, ...]
    dtype: str = ""


class Output(NamedTuple):
    """A value that a chain writes: as it is; with `total`, its sum over everything, 0-d; with `columns`, over the rows."""

    value: str
    total: bool = False
    columns: bool = False  # (1, columns)
    by: str = (
        ""  # with `columns`: first multiplied with each number of a thin operand's row, (few, columns)
    )
    turned: bool = False  # and written as (columns, few)


class _Facts(NamedTuple):
    kind: Kind
    dtype: str
    stage: int

    @property
    def is_summable(self) -> bool:
        """Whether it is floats that differ from row to row."""
        return self.kind in ("full", "column") and "float" in self.dtype


@dataclass(frozen=True)
class Chain:
    """Operations in the order given: each reads operands and earlier results, and no name is given twice.

    An output may be the very array of an input (same address, same strides): all of a row is read before it is
    written. Arrays that overlap in any other way are not allowed.
    """

    inputs: tuple[Operand, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        """Check every name, function and dtype."""
        missing = [output.value for output in self.outputs if output.value not in self._facts]
        problem = f"the chain writes {missing or 'nothing'}; name results of its statements as outputs"
        require(self.outputs and not missing, problem)
        rows = [
            output.value
            for output in self.outputs
            if self.kinds[output.value] == "row" and not (output.total or output.columns)
        ]
        problem = f"the chain writes {rows} of shape (1, columns) once a row; make a chain of its own with rows = 1 and kind 'full'"
        require(not rows, problem)
        sums = [
            output.value
            for output in self.outputs
            if (output.total and not self._facts[output.value].is_summable)
            or (output.columns and self.kinds[output.value] != "full")
        ]
        problem = f"the chain sums {sums}, which is not (rows, columns) or (rows, 1) of floats; cast it, or spread it"
        require(not sums, problem)

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """The broadcast kind of every value."""
        return {name: facts.kind for name, facts in self._facts.items()}

    @cached_property
    def dtypes(self) -> Mapping[str, str]:
        """The dtype of every value."""
        return {name: facts.dtype for name, facts in self._facts.items()}

    @cached_property
    def stages(self) -> Mapping[str, int]:
        """The pass over a row in which a value is known; a row statement is known one pass after its argument."""
        return {name: facts.stage for name, facts in self._facts.items()}

    @cached_property
    def flattens(self) -> bool:
        """Whether contiguous operands may be run as one long row: no operand and no statement knows rows."""
        return all(facts.kind in ("full", "scalar") for facts in self._facts.values())

    @cached_property
    def _facts(self) -> dict[str, _Facts]:
        facts: dict[str, _Facts] = {}
        for operand in self.inputs:
            _check_dtype(operand.dtype)
            facts[operand.name] = _Facts(operand.kind, operand.dtype, 0)
        for statement in self.statements:
            facts[statement.result] = _derive(statement, facts)
        names = [*(x.name for x in self.inputs), *(s.result for s in self.statements)]
        problem = (
            f"of {names} one is taken or no identifier; give each operand and result a name of its own"
        )
        require(len(facts) == len(names) and all(map(str.isidentifier, names)), problem)
        return facts


def _check_dtype(dtype: str) -> None:
    require(
        dtype in DTYPES, f"dtype {dtype!r} is not one of {', '.join(DTYPES)}; cast it before the chain"
    )


def _derive(statement: Statement, facts: Mapping[str, _Facts]) -> _Facts:
    """Return what a statement's result is, from its arguments."""
    function, _, arguments, target = statement
    if function == "dot":
        return _Facts("full", facts[str(arguments[0])].dtype, 0)
    problem = f"{function} is no function of a chain; give an elementwise primitive, or one of {', '.join(ROW_FUNCTIONS)}"
    require(function in ELEMENTWISE or function in ROW_FUNCTIONS, problem)
    arity = PRIMITIVES[function].arity if function in ELEMENTWISE else 1
    require(arity == len(arguments), f"{function} has {len(arguments)} arguments; it takes {arity}")
    unknown = [name for name in arguments if isinstance(name, str) and name not in facts]
    known = [facts[name] for name in arguments if isinstance(name, str) and name in facts]
    problem = f"{function} reads {unknown or 'numbers only'}; give it operands or earlier results"
    require(known and not unknown, problem)
    stage = max(fact.stage for fact in known)
    if function in ROW_FUNCTIONS:
        problem = f"{function} of {arguments[0]!r}, which is not (rows, columns) of floats; cast it, or reduce it before the chain"
        require(known[0].kind == "full" and known[0].is_summable, problem)
        return _Facts("column", known[0].dtype, stage + 1)
    return _Facts(_broadcast(known), _result_dtype(function, known, target), stage)


def _broadcast(known: list[_Facts]) -> Kind:
    kinds = {fact.kind for fact in known} - {"scalar"}
    if not kinds:
        return "scalar"
    return kinds.pop() if len(kinds) == 1 else "full"


def _result_dtype(function: str, known: list[_Facts], target: str) -> str:
    if function == "astype":
        _check_dtype(target)
        return target
    row, dtypes = PRIMITIVES[function], {fact.dtype for fact in known}
    if function == "where":
        dtypes = {fact.dtype for fact in known[1:]} or {target}
    dtype = dtypes.pop()
    chooses = function != "where" or known[0].dtype == "bool"
    given = [fact.dtype for fact in known]
    problem = f"{function} of {given}; a chain converts nothing by itself: add astype"
    require(not dtypes and row.accepts(dtype) and chooses, problem)
    return row.gives or dtype
