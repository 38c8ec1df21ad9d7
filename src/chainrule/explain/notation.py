"""Notation: a formula as text, as HTML and as LaTeX."""

import re
from collections.abc import Sequence
from html import escape

from chainrule.explain.expressions import Node
from chainrule.explain.records import Line
from chainrule.program.primitives import ATOM, PRIMITIVES, Primitive

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

    def write(self, node: Node, outer: int = -1) -> str:
        """Return the formula, in brackets where it binds no more than the operator around it."""
        text, binds = self._written(node)
        return self.brackets.format(text) if binds <= outer else text

    def symbol(self, name: str) -> str:
        """Return a name; a derivative as Leibniz wrote it."""
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

    def ones(self, node: Node) -> str:
        """Return a matrix whose entries are all one number."""
        return f"{'ones' if node.text == '1' else node.text}{node.shape}"

    def infix(self, node: Node, row: Primitive) -> tuple[str, int]:
        """Return ``a + b``, and how strongly it binds."""
        left, right = (
            self.ones(part)
            if row.name == "matmul" and part.function == "number"
            else self.write(part, outer)
            for part, outer in zip(node.parts, (row.binds - 1, row.binds), strict=True)
        )
        return f"{left} {self.sign(node, row)} {right}", row.binds

    def sign(self, node: Node, row: Primitive) -> str:
        """Return an operator."""
        del node
        return row.sign

    def called(self, node: Node, row: Primitive) -> str:
        """Return ``tanh(Z)``."""
        arguments = [self.write(part) for part in node.parts] + ([node.text] if node.text else [])
        return f"{row.name}({', '.join(arguments)})"

    def _written(self, node: Node) -> tuple[str, int]:
        match node.function:
            case "symbol":
                return self.symbol(node.text), ATOM
            case "number":
                return self.number(node.text), ATOM
            case "negative":
                return f"-{self.write(node.parts[0], 2)}", 2
            case "slice":
                return f"{self.write(node.parts[0], 3)}[{node.text}]", ATOM
            case "matrix_transpose":
                (part,) = node.parts
                simple = part.function == "symbol" and "_d" not in part.text
                inner = self.write(part)
                return self.transposed.format(inner if simple else self.brackets.format(inner)), ATOM
        row = PRIMITIVES[node.function]
        return self.infix(node, row) if row.sign else (self.called(node, row), ATOM)


class Html(Text):
    """The same with subscripts; products of entries are ⊙, products with a number a dot."""

    derivative = "<i>∂{}/∂{}</i>"
    below = "<sub>{}</sub>"
    transposed = "{}<sup>T</sup>"

    def letters(self, name: str) -> str:
        """Return a name without its number, in italics."""
        return f"<i>{ {'theta': '&theta;', 'learning_rate': '&eta;'}.get(name, escape(name)) }</i>"

    def sign(self, node: Node, row: Primitive) -> str:
        """Return an operator."""
        if row.name == "multiply":
            return "·" if any(part.is_scalar for part in node.parts) else "⊙"
        return escape(row.sign)


class Latex(Text):
    """The same as papers write it: matrix products side by side, products of entries as ⊙."""

    brackets = r"\left({}\right)"
    derivative = r"\frac{{\partial {}}}{{\partial {}}}"
    below = "_{{{}}}"
    transposed = r"{{{}}}^\top"

    def letters(self, name: str) -> str:
        """Return a name without its number: upright where it is a word."""
        greek = {"theta": r"\theta", "learning_rate": r"\eta"}
        word = rf"\mathrm{{{name.replace('_', chr(92) + '_')}}}"
        return greek.get(name, word if len(name) > 1 else name)

    def number(self, digits: str) -> str:
        """Return a number, its exponent as a power of ten."""
        digits, e, power = digits.partition("e")
        return rf"{digits} \cdot 10^{{{int(power)}}}" if e else digits

    def ones(self, node: Node) -> str:
        """Return a bold number with the shape below it."""
        m, n = node.shape[-2:]
        return rf"\mathbf{{{node.text}}}_{{{m} \times {n}}}"

    def infix(self, node: Node, row: Primitive) -> tuple[str, int]:
        """Return ``a + b``, a fraction, or what the table of primitives has."""
        if row.name == "divide":
            above, below = map(self.write, node.parts)
            return rf"\frac{{{above}}}{{{below}}}", ATOM
        return (self.called(node, row), ATOM) if row.latex else super().infix(node, row)

    def sign(self, node: Node, row: Primitive) -> str:
        """Return an operator: for a product, one that tells its kind."""
        if row.name == "multiply" and node.parts[1].function == "number":
            return r"\cdot"
        if row.name == "multiply" and not any(part.is_scalar for part in node.parts):
            return r"\odot"
        return r"\," if row.name in {"multiply", "matmul"} else row.sign

    def called(self, node: Node, row: Primitive) -> str:
        """Return a function as the table of primitives has it, else with its name upright."""
        outer = row.binds if row.binds < ATOM and not row.gives else -1
        arguments = [self.write(part, outer) for part in node.parts]
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
