"""Sources: the text of the statement that a line number points at."""

import ast
import linecache
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import NamedTuple


class Source(NamedTuple):
    """A line of the source, and the statement that stands there."""

    place: str  # "layers.py:90"
    text: str  # "dL_dW = xp.matmul(...)"; empty where there is no source to read


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
    lines = [
        node.lineno
        for function in ast.walk(_tree(code.co_filename))
        if isinstance(function, ast.FunctionDef) and function.lineno == _first_line(function, code)
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and node.id == variable and isinstance(node.ctx, ast.Store)
    ]
    return of_line(f"{code.co_filename}:{max(lines, default=code.co_firstlineno)}")


def _first_line(function: ast.FunctionDef, code: CodeType) -> int:
    """Return the line of ``def`` where ``code`` is this function's: it may begin with a decorator."""
    begins = min([function.lineno, *(part.lineno for part in function.decorator_list)])
    return function.lineno if begins == code.co_firstlineno else -1


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
    if not inside:
        return lines[line - 1].partition("#")[0].strip() if line <= len(lines) else ""
    innermost = min(inside, key=lambda node: (node.end_lineno or node.lineno) - node.lineno)
    if isinstance(innermost, ast.FunctionDef | ast.ClassDef):
        return lines[line - 1].partition("#")[0].strip()
    return " ".join((ast.get_source_segment("".join(lines), innermost) or "").split())
