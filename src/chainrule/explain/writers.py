"""Writers: a formula as text and as HTML; as LaTeX in ``latex.py``."""

import re
from html import escape

from chainrule.explain.expressions import INFIX, Node
from chainrule.program.primitives import ATOM

DERIVATIVE = re.compile(r"d(?P<of>[A-Za-z]+)_d(?P<by>[A-Za-z]+)(?P<number>\d*)(?P<more>'*)")
_NUMBERED = re.compile(r"(?P<letters>\D+?)(?P<number>\d*)(?P<more>'*)")


class Text:
    """A formula as a person types it: ``dL/dW1 = (dZ/dW1).T @ dL/dZ1``.

    Examples
    --------
    >>> Text().symbol("dL_dW1")
    'dL/dW1'
    """

    def write(self, node: Node, outer: int = -1) -> str:
        """Return the formula; in brackets where it binds less than what is around it."""
        text, binds = self._written(node)
        return self.bracketed(text) if binds <= outer else text

    def symbol(self, name: str) -> str:
        """Return a name: a derivative as Leibniz wrote it."""
        found = DERIVATIVE.fullmatch(name)
        return "d{of}/d{by}{number}{more}".format(**found.groupdict()) if found else name

    def bracketed(self, text: str) -> str:
        """Return it in brackets."""
        return f"({text})"

    def _written(self, node: Node) -> tuple[str, int]:
        if node.function in INFIX:
            return self.infix(node)
        if node.function == "negative":
            return f"-{self.write(node.parts[0], 2)}", 2
        return self._atom(node), ATOM

    def _atom(self, node: Node) -> str:
        match node.function:
            case "symbol":
                return self.symbol(node.text)
            case "number":
                return self.number(node)
            case "matrix_transpose":
                return self.transposed(node.parts[0])
            case "slice":
                return f"{self.write(node.parts[0], 3)}[{node.text}]"
        return self.called(node)

    def number(self, node: Node) -> str:
        """Return a number."""
        return node.text

    def infix(self, node: Node) -> tuple[str, int]:
        """Return ``a + b`` and how strongly it binds."""
        binds, sign = INFIX[node.function]
        left, right = node.parts
        if node.function == "matmul":
            return (
                f"{self._matrix(left, binds - 1)} {self.sign(sign)} {self._matrix(right, binds)}",
                binds,
            )
        return f"{self.write(left, binds - 1)} {self.sign(sign)} {self.write(right, binds)}", binds

    def sign(self, sign: str) -> str:
        """Return an operator."""
        return sign

    def transposed(self, node: Node) -> str:
        """Return ``X.T``."""
        inner = self.write(node, 3)
        plain = node.function == "symbol" and inner.isalnum()
        return f"{inner if plain or inner.startswith('(') else self.bracketed(inner)}.T"

    def called(self, node: Node) -> str:
        """Return ``tanh(Z)``."""
        arguments = [self.write(part) for part in node.parts] + ([node.text] if node.text else [])
        return f"{node.function}({', '.join(arguments)})"

    def _matrix(self, node: Node, outer: int) -> str:
        if node.function == "number":
            name = "ones" if node.text == "1" else node.text
            return f"{name}{node.shape}"
        return self.write(node, outer)


class Html(Text):
    """The same with subscripts, and derivatives with their own d."""

    def symbol(self, name: str) -> str:
        """Return a name; its number below the line."""
        found = DERIVATIVE.fullmatch(name)
        if found:
            of, by, number, more = found.groups()
            return f"<i>∂{of}/∂{by}</i>{_below(number)}{more}"
        letters, number, more = split(name)
        letters = {"theta": "&theta;", "learning_rate": "&eta;"}.get(letters, escape(letters))
        return f"<i>{letters}</i>{_below(number)}{more}"

    def sign(self, sign: str) -> str:
        """Return an operator."""
        return {"*": "⊙"}.get(sign, escape(sign))

    def infix(self, node: Node) -> tuple[str, int]:
        """Return it; an elementwise product of arrays has a sign of its own."""
        text, binds = super().infix(node)
        if node.function == "multiply" and any(part.is_scalar for part in node.parts):
            left, right = node.parts
            text = f"{self.write(left, binds - 1)}&#8239;·&#8239;{self.write(right, binds)}"
        return text, binds

    def transposed(self, node: Node) -> str:
        """Return it with a raised T."""
        inner = self.write(node, 3)
        inner = self.bracketed(inner) if DERIVATIVE.fullmatch(node.text) else inner
        return f"{inner}<sup>T</sup>"


def split(name: str) -> tuple[str, str, str]:
    """Return the letters of a name, its number and its primes.

    Examples
    --------
    >>> split("W12'")
    ('W', '12', "'")
    """
    found = _NUMBERED.fullmatch(name)
    return (name, "", "") if found is None else (found["letters"], found["number"], found["more"])


def _below(number: str) -> str:
    return f"<sub>{number}</sub>" if number else ""
