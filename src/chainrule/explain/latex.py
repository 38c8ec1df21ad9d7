"""LaTeX: the formulas of an explanation, a line each, with the shapes of the products beside them."""

import re
from collections.abc import Sequence

from chainrule.explain.expressions import INFIX, Node
from chainrule.explain.records import Line
from chainrule.explain.writers import DERIVATIVE, Text, split
from chainrule.program.primitives import ATOM, PRIMITIVES

_GREEK = {"theta": r"\theta", "learning_rate": r"\eta"}


class Latex(Text):
    """The same as LaTeX, as papers write it: products side by side, ⊙ where they are elementwise."""

    def symbol(self, name: str) -> str:
        r"""Return a name.

        Examples
        --------
        >>> print(Latex().symbol("dL_dW1"))
        \frac{\partial L}{\partial W_{1}}
        """
        found = DERIVATIVE.fullmatch(name)
        if found:
            of, by, number, more = found.groups()
            below = f"_{{{number}}}" if number else ""
            return rf"\frac{{\partial {of}}}{{\partial {by}{below}}}{more}"
        letters, number, more = split(name)
        if letters not in _GREEK and len(letters) > 1:
            letters = rf"\mathrm{{{letters.replace('_', chr(92) + '_')}}}"
        return _GREEK.get(letters, letters) + (f"_{{{number}}}" if number else "") + more

    def bracketed(self, text: str) -> str:
        """Return it in brackets that grow."""
        return rf"\left({text}\right)"

    def infix(self, node: Node) -> tuple[str, int]:
        """Return it; a quotient is a fraction."""
        binds, sign = INFIX[node.function]
        left, right = node.parts
        if node.function == "divide":
            return rf"\frac{{{self.write(left)}}}{{{self.write(right)}}}", ATOM
        if PRIMITIVES[node.function].latex:
            return self.called(node), ATOM
        if node.function == "matmul":
            return rf"{self._matrix(left, binds - 1)} \, {self._matrix(right, binds)}", binds
        if node.function == "multiply":
            scalar = any(part.is_scalar for part in node.parts)
            sign = r"\cdot" if right.function == "number" else r"\," if scalar else r"\odot"
        return f"{self.write(left, binds - 1)} {sign} {self.write(right, binds)}", binds

    def number(self, node: Node) -> str:
        """Return it, the exponent as a power of ten."""
        digits, e, power = node.text.partition("e")
        return rf"{digits} \cdot 10^{{{int(power)}}}" if e else digits

    def transposed(self, node: Node) -> str:
        """Return it with a raised T."""
        inner = self.write(node, 3)
        simple = node.function == "symbol" and not inner.startswith(r"\frac")
        return f"{{{inner if simple else self.bracketed(inner)}}}^\\top"

    def called(self, node: Node) -> str:
        """Return a function as its row in the table of primitives has it, else with its name upright."""
        row = PRIMITIVES[node.function]
        outer = row.binds if row.binds < ATOM and not row.gives else -1
        arguments = [self.write(part, outer) for part in node.parts]
        if row.latex:
            return row.latex.format(*arguments)
        return rf"\operatorname{{{row.name}}}{self.bracketed(', '.join(arguments))}"

    def _matrix(self, node: Node, outer: int) -> str:
        if node.function == "number":
            m, n = node.shape[-2:]
            return rf"\mathbf{{{node.text}}}_{{{m} \times {n}}}"
        return self.write(node, outer)


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
    shapes = re.findall(r"\(([^)]*)\)", product)
    sizes = [
        r" \times ".join(part.strip() for part in shape.split(",") if part.strip()) for shape in shapes
    ]
    sign = r"\odot" if "*" in product else r"\,"
    return rf"({sizes[0]}) {sign} ({sizes[1]}) \to ({sizes[2]})"
