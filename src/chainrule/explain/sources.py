"""Sources: the text of the statement at a line of a source file."""

import ast
import linecache
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple


class Source(NamedTuple):
    """A line of the source, and the statement there."""

    place: str  # "layers.py:90"
    text: str  # "dL_dW = xp.matmul(...)"; empty if there is no source to read


def of_line(origin: str) -> Source:
    """Return the statement at ``path:line``, without its comment, on one line.

    Examples
    --------
    >>> here = of_line.__code__
    >>> of_line(f"{here.co_filename}:{here.co_firstlineno}").place.partition(":")[0]
    'sources.py'
    """
    path, _, line = origin.rpartition(":")
    if not path:
        return Source("", "")
    return Source(f"{Path(path).name}:{line}", _statement(path, int(line)))


def of_variable(code: CodeType, variable: str) -> Source:
    """Return the last statement of a function that assigns to one of its variables."""
    inside = {line for *_, line in code.co_lines()}
    lines = [
        node.lineno
        for node in ast.walk(_tree(code.co_filename))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if node.id == variable and node.lineno in inside
    ]
    return of_line(f"{code.co_filename}:{max(lines, default=code.co_firstlineno)}")


@lru_cache(maxsize=64)
def _tree(path: str) -> ast.Module:
    try:
        return ast.parse("".join(linecache.getlines(path)))
    except SyntaxError:  # a cell of a notebook with commands of its own
        return ast.Module([], [])


@lru_cache(maxsize=1024)
def _statement(path: str, line: int) -> str:
    lines = linecache.getlines(path)
    inside = [
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    # The innermost statement begins last.
    innermost = max(inside, key=lambda node: node.lineno, default=None)
    if innermost is None or isinstance(innermost, ast.FunctionDef | ast.ClassDef):
        return lines[line - 1].partition("#")[0].strip() if line <= len(lines) else ""
    return " ".join((ast.get_source_segment("".join(lines), innermost) or "").split())
