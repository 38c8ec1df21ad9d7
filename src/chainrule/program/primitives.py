"""The primitives: the functions that a program may contain, one row each.

A row contains everything that differs between functions. The trace, the planner and the fusion only read the kind; the
printers, the writers of formulas and the array libraries read their own column. To add a function of the Array API, add
a row and, if Python has no operator for it, a function of the same name in ``native/elementary.py``.

The columns contain strings and Python's operators only, so the table imports no printer.
"""

import operator
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

Kind = Literal["elementwise", "reduction", "view", "product", "join"]
ATOM = 9  # a higher precedence than any operator


class Primitive(NamedTuple):
    """A function of the Array API standard.

    In ``cuda`` and ``latex``, ``{0}``, ``{1}`` and ``{2}`` are the arguments.
    """

    name: str
    kind: Kind = "elementwise"
    arity: int = 1
    operator: Callable[..., Any] | None = None  # Python's operator, for arrays, tracers and lanes
    takes: str = "number"  # the dtypes for which it is defined: see ``accepts``
    gives: str = ""  # the dtype of its result, if it differs from that of its operands
    cuda: str = ""  # an expression of CUDA C; {f} is "f" in float32
    sign: str = ""  # between two operands, in a formula
    binds: int = ATOM  # precedence of the sign
    latex: str = ""  # default: the sign, or the name in upright letters
    torch: str = ""  # PyTorch's name, if it differs
    cupy: str = ""  # CuPy's name, if it differs
    onnx: str = ""  # ONNX's operator, if any; for bits, the operator of bools: see ``saving/onnx.py``
    is_analytic: bool = False  # so the complex step can differentiate it

    def accepts(self, dtype: str) -> bool:
        """Return whether the function is defined for the dtype of this name.

        Examples
        --------
        >>> PRIMITIVES["exp"].accepts("int32"), PRIMITIVES["add"].accepts("int32")
        (False, True)
        """
        return {
            "float": "float" in dtype,
            "number": dtype != "bool",
            "integer": "float" not in dtype,
            "bool": dtype == "bool",
            "": True,
        }[self.takes]


def _infix(name: str, function: Callable[..., Any], sign: str, binds: int, **row: Any) -> Primitive:
    """Return the row of an operator between two operands."""
    row |= {"sign": sign, "binds": binds, "cuda": f"{{0}} {sign} {{1}}"}
    return Primitive(name, arity=2, operator=function, **row)


def _comparison(
    name: str, function: Callable[..., Any], sign: str, latex: str = "", **row: Any
) -> Primitive:
    # Iverson's bracket: 1 where the condition holds, otherwise 0.
    relation = rf"\left[{{0}} {latex or sign} {{1}}\right]"
    return _infix(name, function, sign, 0, takes="", gives="bool", latex=relation, **row)


def _bitwise(name: str, function: Callable[..., Any], sign: str, latex: str, **row: Any) -> Primitive:
    return _infix(name, function, sign, 1, takes="integer", latex=f"{{0}} {latex} {{1}}", **row)


def _analytic(name: str, latex: str = "", onnx: str = "") -> Primitive:
    cuda = f"{name}{{f}}({{0}})"
    return Primitive(name, takes="float", cuda=cuda, latex=latex, onnx=onnx, is_analytic=True)


_ROWS = (
    # -- arithmetic
    _infix("add", operator.add, "+", 1, onnx="Add", is_analytic=True),
    _infix("subtract", operator.sub, "-", 1, onnx="Sub", is_analytic=True),
    _infix("multiply", operator.mul, "*", 2, onnx="Mul", is_analytic=True),
    _infix("divide", operator.truediv, "/", 2, takes="float", onnx="Div", is_analytic=True),
    Primitive("negative", operator=operator.neg, cuda="-{0}", onnx="Neg", is_analytic=True),
    Primitive("square", cuda="{0} * {0}", binds=3, latex="{0}^2", is_analytic=True),
    Primitive(
        "pow", arity=2, operator=operator.pow, takes="float", cuda="whole_power({0}, {1})",
        sign="**", binds=3, latex="{0}^{{{1}}}", cupy="power", onnx="Pow", is_analytic=True,
    ),
    Primitive("abs", operator=operator.abs, cuda="absolute({0})", latex=r"\left|{0}\right|", onnx="Abs"),
    Primitive("sign", cuda="sign({0})", onnx="Sign"),
    Primitive(
        "floor", takes="float", cuda="floor{f}({0})", latex=r"\left\lfloor {0} \right\rfloor", onnx="Floor"
    ),
    # -- functions of floats
    _analytic("sqrt", r"\sqrt{{{0}}}", "Sqrt"),
    _analytic("exp", r"\exp\left({0}\right)", "Exp"),
    _analytic("expm1"),
    _analytic("log", r"\log\left({0}\right)", "Log"),
    _analytic("log1p"),
    _analytic("tanh", r"\tanh\left({0}\right)", "Tanh"),
    _analytic("sin", r"\sin\left({0}\right)", "Sin"),
    _analytic("cos", r"\cos\left({0}\right)", "Cos"),
    # -- choices
    Primitive("maximum", arity=2, cuda="larger({0}, {1})", latex=r"\max\left({0}, {1}\right)", onnx="Max"),
    Primitive("minimum", arity=2, cuda="smaller({0}, {1})", latex=r"\min\left({0}, {1}\right)", onnx="Min"),
    Primitive("clip", arity=3, cuda="clipped({0}, {1}, {2})", onnx="Clip"),
    Primitive(
        "where", arity=3, takes="", cuda="{0} ? {1} : {2}", onnx="Where",
        latex=r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    ),
    # -- conditions
    _comparison("equal", operator.eq, "==", "=", onnx="Equal", torch="eq"),
    _comparison("not_equal", operator.ne, "!=", r"\neq"),
    _comparison("greater", operator.gt, ">", onnx="Greater"),
    _comparison("greater_equal", operator.ge, ">=", r"\geq", onnx="GreaterOrEqual"),
    _comparison("less", operator.lt, "<", onnx="Less"),
    _comparison("less_equal", operator.le, "<=", r"\leq", onnx="LessOrEqual"),
    Primitive("logical_and", arity=2, takes="bool", cuda="{0} && {1}", binds=0, latex=r"{0} \land {1}", onnx="And"),
    Primitive("logical_or", arity=2, takes="bool", cuda="{0} || {1}", binds=0, latex=r"{0} \lor {1}", onnx="Or"),
    Primitive("logical_not", takes="bool", cuda="!{0}", binds=3, latex=r"\lnot {0}", onnx="Not"),
    # -- whole numbers, and bits
    _bitwise("bitwise_and", operator.and_, "&", r"\land", onnx="And"),
    _bitwise("bitwise_or", operator.or_, "|", r"\lor", onnx="Or"),
    _bitwise("bitwise_xor", operator.xor, "^", r"\oplus", onnx="Xor"),
    _bitwise("bitwise_left_shift", operator.lshift, "<<", r"\ll", cupy="left_shift"),
    _bitwise("bitwise_right_shift", operator.rshift, ">>", r"\gg", cupy="right_shift"),
    Primitive(
        "bitwise_invert", operator=operator.invert, takes="integer", cuda="inverted({0})", binds=3, latex=r"\lnot {0}",
        torch="bitwise_not", cupy="invert", onnx="Not",
    ),
    # -- functions with settings in addition to operands
    Primitive("astype", takes="", onnx="Cast"),  # each printer has its own types
    Primitive("copy", takes="", cuda="{0}"),  # added by the planner, for carried values and parts of concatenations
    Primitive("sum", "reduction", binds=2, latex=r"\sum {0}", onnx="ReduceSum", is_analytic=True),
    Primitive("max", "reduction", torch="amax", latex=r"\max\left({0}\right)", onnx="ReduceMax"),
    Primitive("matmul", "product", 2, operator.matmul, sign="@", binds=2, onnx="MatMul", is_analytic=True),
    Primitive("concat", "join", is_analytic=True),
    # -- views: nothing is computed or copied
    Primitive("matrix_transpose", "view", is_analytic=True),
    Primitive("reshape", "view", is_analytic=True),
    Primitive("slice", "view", is_analytic=True),
)  # fmt: skip

PRIMITIVES = {row.name: row for row in _ROWS}


def of_kind(kind: Kind) -> frozenset[str]:
    """Return the names of the primitives of one kind.

    Examples
    --------
    >>> sorted(of_kind("reduction"))
    ['max', 'sum']
    """
    return frozenset(row.name for row in _ROWS if row.kind == kind)


ELEMENTWISE = of_kind("elementwise")
REDUCTIONS = of_kind("reduction")
VIEWS = of_kind("view")
