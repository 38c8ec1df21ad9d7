"""Fields of tuples and dataclasses, described by the comments next to them in the source.

The house writes a field's shape where the field is declared: ``W: Array  # (n_in, n_out)``. That comment
is the documentation, so it is shown, and not copied into a docstring where it could go stale.

What a property says is left as it is: napoleon would take the words before a colon for a type.
"""

import ast
import inspect
import io
import tokenize
from dataclasses import is_dataclass
from functools import cache
from typing import Any

from sphinx.application import Sphinx

BEFORE_NAPOLEON, AFTER_NAPOLEON = 100, 900
SECTIONS = {"Parameters", "Attributes"}

said: dict[str, list[str]] = {}


def has_fields(found: Any) -> bool:
    """Return whether a class has named fields."""
    return inspect.isclass(found) and (is_dataclass(found) or hasattr(found, "_fields"))


@cache
def fields(owner: type) -> dict[str, tuple[str, str]]:
    """Return the type of each annotated field of a class, and the comment next to it, or an empty one."""
    source = inspect.cleandoc("\n" + inspect.getsource(owner))
    at = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    (body,) = ast.parse(source).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101
    return {
        node.target.id: (ast.unparse(node.annotation), at.get(node.end_lineno or 0, ""))
        for node in body.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def add_fields(_: Sphinx, what: str, name: str, obj: Any, __: Any, lines: list[str]) -> None:
    """Add the fields of a class to its docstring, unless it describes them."""
    if what in ("property", "data", "attribute"):
        said[name] = [*lines]
    if what == "class" and has_fields(obj) and not SECTIONS & set(lines):
        lines += ["", "Parameters", "----------"]
        for field, (kind, comment) in fields(obj).items():
            lines += [f"{field} : ``{kind}``", f"    {literal_shape(comment)}"]


def literal_shape(comment: str) -> str:
    """Return a comment with the shape at its beginning marked as code."""
    depth = 0
    for place, letter in enumerate(comment if comment.startswith("(") else ""):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return f"``{comment[: place + 1]}``{comment[place + 1 :]}"
    return comment


def restore(_: Sphinx, __: str, name: str, *rest: Any) -> None:
    """Restore the docstring that a property had before napoleon changed it."""
    if name in said:
        rest[-1][:] = [*said[name], ""]


def is_left_out(_: Sphinx, what: str, name: str, obj: Any, *__: Any) -> bool | None:
    """Skip the fields of a tuple as members, because its parameters describe them."""
    del name
    return True if what == "class" and type(obj).__name__ == "_tuplegetter" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc, before and after napoleon."""
    app.connect("autodoc-process-docstring", add_fields, priority=BEFORE_NAPOLEON)
    app.connect("autodoc-process-docstring", restore, priority=AFTER_NAPOLEON)
    app.connect("autodoc-skip-member", is_left_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
