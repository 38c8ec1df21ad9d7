"""Notation: a formula read off the operations of a program, as text, as HTML and as LaTeX.

This module contains no formulas. A formula is the tree of operations above a value, cut off at values that have
names.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

from chainrule.explain.records import Line
from chainrule.program.operations import Operand, Operation, Value
from chainrule.program.primitives import ATOM, PRIMITIVES, Primitive

_SILENT = {"astype", "reshape"}  # not shown: they change an array's storage, not its entries


class Scope(NamedTuple):
    """The names of values in a formula, and the operations that compute values without a name."""

    makers: Mapping[int, Operation]  # the operation of each value, by the value's ``id``
    name: Callable[[Value], str]  # "" for a value without a name

    def symbol(self, operand: Operand) -> str:
        """Return the name of an operand; "" for a number, and for the result of an unnamed operation."""
        if not isinstance(operand, Value):
            return ""
        constant = "constant" if operand.is_constant and operand.number is None else ""
        return self.name(operand) or constant

    def number(self, operand: Operand) -> str:
        """Return the digits of a constant whose entries are all equal; "" for anything else."""
        if isinstance(operand, Value):
            if operand.number is None or self.name(operand):
                return ""
            operand = operand.number
        return str(operand) if isinstance(operand, int) else f"{operand:.6g}"


def is_scalar(operand: Operand) -> bool:
    """Return whether an operand is one number."""
    return not isinstance(operand, Value) or all(length == 1 for length in operand.shape)


def products(operation: Operation, scope: Scope) -> Iterator[str]:
    """Yield the shapes of the matrix products in a formula, and of the elementwise product if it is one."""
    for value in operation.inputs:
        if id(value) in scope.makers and not scope.name(value):
            yield from products(scope.makers[id(value)], scope)
    shapes = [operand.shape for operand in operation.inputs if len(operand.shape) > 1]
    symbol = {"matmul": "@", "multiply": "*"}.get(operation.function)
    if symbol and len(shapes) == 2:
        yield f"{shapes[0]} {symbol} {shapes[1]} -> {operation.result.shape}"


def setting(operation: Operation) -> str:
    """Return the axes of a reduction or the bounds of a slice; "" for the whole array."""
    if operation.function == "slice":
        return ", ".join(map(_place, operation.settings["places"]))
    axes: tuple[int, ...] = operation.settings.get("axis", ())
    whole = len(axes) in {0, len(operation.inputs[0].shape)}
    return "" if whole else f"axis={axes[0] if len(axes) == 1 else axes}"


def _place(place: object) -> str:
    if not isinstance(place, slice):
        return "..."
    return ":".join("" if end is None else str(end) for end in (place.start, place.stop))


# "dL_dW1" is L by W, number 1; "A_kept2'" is A_kept, number 2, with a prime.
_NAME = re.compile(r"(?:d(?P<of>[A-Za-z]+)_d)?(?P<by>\D+?)(?P<number>\d*)(?P<primes>'*)")


class Text:
    """A formula as typed: ``dL/dW1 = (dZ/dW1).T @ dL/dZ1``.

    Examples
    --------
    >>> Text().symbol("dL_dW1")
    'dL/dW1'
    """

    brackets = "({})"
    derivative = "d{}/d{}"
    below = "{}"  # the number of a layer
    transposed = "{}.T"

    def __init__(self, scope: Scope = Scope({}, lambda _: "")) -> None:  # noqa: B008  it holds no state
        self.scope = scope

    def write(self, operand: Operand, outer: int = -1) -> str:
        """Return an operand, in brackets unless it binds more tightly than the operator around it."""
        if symbol := self.scope.symbol(operand):
            return self.symbol(symbol)
        if not isinstance(operand, Value) or id(operand) not in self.scope.makers:
            return self.number(self.scope.number(operand))
        return self.formula(self.scope.makers[id(operand)], outer)

    def formula(self, operation: Operation, outer: int = -1) -> str:
        """Return the formula of an operation's result, in brackets as in :meth:`write`."""
        if operation.function in _SILENT:
            return self.write(operation.operands[0], outer)
        text, binds = self._written(operation)
        return self.brackets.format(text) if binds <= outer else text

    def symbol(self, name: str) -> str:
        """Return a name; a derivative in Leibniz' notation."""
        parts = _NAME.fullmatch(name)
        if parts is None:
            return self.letters(name)
        of, by, number, primes = parts.groups()
        below = self.below.format(number) if number else ""
        return (self.derivative.format(of, by + below) if of else self.letters(by) + below) + primes

    def letters(self, name: str) -> str:
        """Return a name without its number."""
        return name

    def number(self, digits: str) -> str:
        """Return a number."""
        return digits

    def filled(self, digits: str, shape: tuple[int, ...]) -> str:
        """Return a matrix whose entries are all one number."""
        return f"{'ones' if digits == '1' else digits}{shape}"

    def infix(self, operation: Operation, row: Primitive) -> tuple[str, int]:
        """Return ``a + b``, and how tightly it binds."""
        sides = []
        for operand, outer in zip(operation.operands, (row.binds - 1, row.binds), strict=True):
            digits = self.scope.number(operand) if row.name == "matmul" else ""
            if digits and isinstance(operand, Value):
                sides.append(self.filled(digits, operand.shape))
            else:
                sides.append(self.write(operand, outer))
        return f"{sides[0]} {self.sign(operation, row)} {sides[1]}", row.binds

    def sign(self, operation: Operation, row: Primitive) -> str:
        """Return an operator."""
        del operation
        return row.sign

    def called(self, operation: Operation, row: Primitive) -> str:
        """Return ``tanh(Z)``."""
        arguments = [*map(self.write, operation.operands), setting(operation)]
        return f"{row.name}({', '.join(filter(None, arguments))})"

    def _written(self, operation: Operation) -> tuple[str, int]:
        first, *_ = operation.operands
        match operation.function:
            case "negative":
                return f"-{self.write(first, 2)}", 2
            case "slice":
                return f"{self.write(first, 3)}[{setting(operation)}]", ATOM
            case "matrix_transpose":
                name = self.scope.symbol(first)
                inner = self.write(first)
                is_simple = name and "_d" not in name
                return self.transposed.format(inner if is_simple else self.brackets.format(inner)), ATOM
        row = PRIMITIVES[operation.function]
        return self.infix(operation, row) if row.sign else (self.called(operation, row), ATOM)


class Html(Text):
    """A formula with subscripts; ⊙ is the product of entries, a dot the product with a number."""

    derivative = "<i>∂{}/∂{}</i>"
    below = "<sub>{}</sub>"
    transposed = "{}<sup>T</sup>"

    def letters(self, name: str) -> str:
        """Return a name without its number, in italics."""
        return f"<i>{ {'theta': '&theta;', 'learning_rate': '&eta;'}.get(name, escape(name)) }</i>"

    def sign(self, operation: Operation, row: Primitive) -> str:
        """Return an operator."""
        if row.name == "multiply":
            return "·" if any(map(is_scalar, operation.operands)) else "⊙"
        return escape(row.sign)


class Latex(Text):
    """A formula in LaTeX, as in papers: matrix products without a sign, ⊙ for products of entries."""

    brackets = r"\left({}\right)"
    derivative = r"\frac{{\partial {}}}{{\partial {}}}"
    below = "_{{{}}}"
    transposed = r"{{{}}}^\top"

    def letters(self, name: str) -> str:
        """Return a name without its number: upright if it is a word."""
        greek = {"theta": r"\theta", "learning_rate": r"\eta"}
        word = rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
        return greek.get(name, word if len(name) > 1 else name)

    def number(self, digits: str) -> str:
        """Return a number, its exponent as a power of ten."""
        digits, e, power = digits.partition("e")
        return rf"{digits} \cdot 10^{{{int(power)}}}" if e else digits

    def filled(self, digits: str, shape: tuple[int, ...]) -> str:
        """Return a bold number with the shape below it."""
        m, n = shape[-2:]
        return rf"\mathbf{{{digits}}}_{{{m} \times {n}}}"

    def infix(self, operation: Operation, row: Primitive) -> tuple[str, int]:
        """Return ``a + b``, a fraction, or the LaTeX of the table of primitives."""
        if row.name == "divide":
            above, below = map(self.write, operation.operands)
            return rf"\frac{{{above}}}{{{below}}}", ATOM
        return (self.called(operation, row), ATOM) if row.latex else super().infix(operation, row)

    def sign(self, operation: Operation, row: Primitive) -> str:
        """Return an operator; products of matrices, entries and numbers have different ones."""
        if row.name == "multiply" and self.scope.number(operation.operands[1]):
            return r"\cdot"
        if row.name == "multiply" and not any(map(is_scalar, operation.operands)):
            return r"\odot"
        return r"\," if row.name in {"multiply", "matmul"} else row.sign

    def called(self, operation: Operation, row: Primitive) -> str:
        """Return a function with the LaTeX of the table of primitives, or with its name upright."""
        outer = row.binds if row.binds < ATOM and not row.gives else -1
        arguments = [self.write(operand, outer) for operand in operation.operands]
        if row.latex:
            return row.latex.format(*arguments)
        return rf"\operatorname{{{row.name}}}{self.brackets.format(', '.join(arguments))}"


def align(lines: Sequence[Line]) -> str:
    r"""Return an ``align*`` environment (amsmath) with the formulas in the order of the computation."""
    rows = [_line(line) for line in lines if line.formula.latex]
    return "\n".join([r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}"])


def _line(line: Line) -> str:
    sign = r"\leftarrow" if line.renews else "="
    text = f"  {line.symbol.latex} &{sign} {line.formula.latex}"
    shapes = r",\quad ".join(map(_shapes, line.products))
    return f"{text} && {shapes}" if shapes else text


def _shapes(product: str) -> str:
    """Return "(4, 2) @ (2, 4) -> (4, 4)" as LaTeX."""
    signs = {", ": r" \times ", "@": r"\,", "*": r"\odot", "->": r"\to"}
    for typed, sign in signs.items():
        product = product.replace(typed, sign)
    return product
