"""Lines: the step traced, run operation by operation, and shown line by line.

The lines show the program of the step that trains. Names are the variables of the mathematics, formulas are
read off the operations, and arrays are the results of those operations.
"""

import ast
import linecache
import sys
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from chainrule.backends import Backend
from chainrule.explain.notation import Html, Latex, Scope, Text, products
from chainrule.explain.records import Formula, Line, Update, norm
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.naming import require
from chainrule.mathematics.parameters import Layout
from chainrule.mathematics.step import Batch, Progress, TrainingStep, data_gradient, finish, forward
from chainrule.program.engine import batch_spec, progress_spec, spec
from chainrule.program.operations import Mention, Operation, Program, Value
from chainrule.program.trace import trace
from chainrule.program.watch import Evaluated


def of_line(origin: str) -> tuple[str, str]:
    """Return ``path:line`` in the form "layers.py:90", and the statement on that line, without its comment.

    Examples
    --------
    >>> code = of_line.__code__
    >>> of_line(f"{code.co_filename}:{code.co_firstlineno}")[1]
    'def of_line(origin: str) -> tuple[str, str]:'
    """
    path, _, line = origin.rpartition(":")
    return (f"{Path(path).name}:{line}", _statement(path, int(line))) if path else ("", "")


def of_variable(code: CodeType, variable: str) -> tuple[str, str]:
    """Return the last statement of a function that assigns to one of its variables, as :func:`of_line` does."""
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
    except SyntaxError:  # a notebook cell with IPython commands
        return ast.Module([], [])


@lru_cache(maxsize=1024)
def _statement(path: str, line: int) -> str:
    inside = [
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    # The innermost statement is the one that begins last.
    innermost = max(inside, key=lambda node: node.lineno, default=None)
    if innermost is None or isinstance(innermost, ast.FunctionDef | ast.ClassDef):
        return linecache.getline(path, line).partition("#")[0].strip()
    source = "".join(linecache.getlines(path))
    return " ".join((ast.get_source_segment(source, innermost) or "").split())


# The arguments of ``TrainingStep.whole``, on the device of the network.
Inputs = tuple[Progress, Batch, Array, Array | None]

# The part of the step that an operation belongs to, by the functions that are running; the first match counts.
_SECTIONS = (
    (finish, "update"),
    (Layout.join, "update"),
    (Layout.split, "inputs"),
    (forward, "forward"),
    (Loss.value, "loss"),
    (data_gradient, "backward"),
)


def traced(step: TrainingStep, inputs: Inputs) -> Program:
    """Return the program of the step.

    Raises
    ------
    RuntimeError
        If a profiler is active: the names are read through the same hook.
    """
    problem = "a profiler is active, and the names are read through the same hook; explain without it"
    require(sys.getprofile() is None, problem, RuntimeError)
    progress, batch, rate, key = inputs
    specs = [progress_spec(progress), batch_spec(batch, batch.X.shape[-2])]
    specs += [spec(rate, "learning_rate", "rate"), None if key is None else spec(key, "key", "key")]
    return trace(step.whole, *specs, named=True)


def names(program: Program) -> dict[int, str]:
    """Return the name of each value, by its ``id``; a prime marks the second value of a name.

    A value carried from step to step has the same name before and after: ``m <- 0.9 m + 0.1 g``.
    """
    called: dict[int, str] = {}
    counts: Counter[str] = Counter()
    for value in (*program.inputs, *(operation.result for operation in program.operations)):
        if value.name:
            called[id(value)] = value.name + "'" * counts[value.name]
            counts[value.name] += 1
    places = {id(operation.result): place for place, operation in enumerate(program.operations)}
    for old, new in zip(program.inputs[1:], program.outputs[1:-1], strict=False):
        late = program.operations[places.get(id(new), 0) + 1 :]
        is_read_late = any(old is operand for operation in late for operand in operation.operands)
        if id(new) in called and not is_read_late:
            called[id(old)] = called[id(new)]
    return called


def section(within: tuple[CodeType, ...]) -> str:
    """Return the part of the step that an operation belongs to, by the functions that were running."""
    return next((part for function, part in _SECTIONS if function.__code__ in within), "update")


def parameters(program: Program) -> dict[str, Value]:
    """Return the weights and biases by name: the parts of the flat parameters."""
    split = Layout.split.__code__
    return {o.result.name: o.result for o in program.operations if split in o.within and o.result.name}


_NOTATIONS = (Text, Html, Latex)


class Builder:
    """The lines of a step.

    Parameters
    ----------
    step, inputs
        The step and its arguments.
    backend
        The backend of its arrays.
    every
        Whether each operation has a line, or only the values with a name in the mathematics.
    """

    def __init__(self, step: TrainingStep, inputs: Inputs, backend: Backend, *, every: bool) -> None:
        (self._before, state), batch, *others = inputs
        self._backend, self._every = backend, every
        self._layout = step.net.layout
        self.program = traced(step, inputs)
        arrays = [part for part in (self._before, *state, *batch, *others) if part is not None]
        with backend.quiet():
            self.run = Evaluated(self.program, arrays, backend.asarray)
        self._makers = {id(operation.result): operation for operation in self.program.operations}
        self._names = names(self.program)
        if every:
            parts = (o for o in self.program.operations if not o.is_view)
            self._names = {id(o.result): self.program.name(o.result) for o in parts} | self._names
        # A value may have other names inside other functions.
        self._local = {(m.within, id(m.value)): m.name for m in self.program.mentions}

    # -- lines -----------------------------------------------------------------------------------

    def lines(self) -> Iterator[Line]:
        """Yield the lines in the order of the computation."""
        yield from self._inputs()
        theta = self.program.outputs[0]
        waiting = [o for o in self.program.operations if not o.is_view and o.result is not theta]
        for mention in self.program.mentions:
            is_shown = self._every or "int" not in mention.value.dtype.name
            if not is_shown or not self.run.knows(mention.value):
                continue
            maker = self._makers.get(id(mention.value))
            if maker is None or maker.result.name != mention.name:
                yield self._alias(mention)
                continue
            while self._every and maker in waiting:
                yield self._operation(waiting.pop(0), mention.layer)
            if not self._every:
                yield self._operation(maker, mention.layer)
        yield from (self._operation(operation) for operation in waiting if self._every)
        yield self._operation(self._makers[id(theta)], None, "theta")

    def _inputs(self) -> Iterator[Line]:
        values = {value.name: value for value in self.program.inputs} | parameters(self.program)
        roles = {"sample", "target", "weight", "rate"}
        names = [value.name for value in self.program.inputs if value.role in roles]
        for name in [*names, *(name for name, _ in self._layout.named_shapes)]:
            layer = None if name in names else int(name[1:])
            yield self._line(name, "inputs", layer, values[name])

    def _operation(self, operation: Operation, layer: int | None = None, name: str = "") -> Line:
        """Return the line of the result of an operation."""
        value = operation.result

        def called(other: Value) -> str:
            local = self._local.get((operation.within, id(other)))
            return local or self._names.get(id(other), "")

        scope = Scope(self._makers, called)
        formula = Formula(*(notation(scope).formula(operation) for notation in _NOTATIONS))
        shapes, source = tuple(dict.fromkeys(products(operation, scope))), of_line(operation.origin)
        renews = any(value is output for output in self.program.outputs[:-1])
        name, part = name or self._names[id(value)], section(operation.within)
        return self._line(name, part, layer, value, formula, shapes, *source, renews=renews)

    def _alias(self, mention: Mention) -> Line:
        """Return the line of another name for a value."""
        value, code = mention.value, mention.code
        scope = Scope({}, lambda other: "" if other.is_constant else self._names.get(id(other), ""))
        if mention.variable in code.co_varnames[: code.co_argcount]:
            # For an argument, the line that computed its value.
            source = of_line(self._makers[id(value)].origin)
        else:
            source = of_variable(code, mention.variable)
        formula = Formula(*(notation(scope).write(value) for notation in _NOTATIONS))
        part = section(mention.within)
        return self._line(mention.name, part, mention.layer, value, formula, (), *source)

    def _line(
        self, name: str, part: str, layer: int | None, value: Value, *more: Any, **renews: bool
    ) -> Line:
        """Return a line; ``more`` are its formula, the shapes of its products and its source."""
        symbol = Formula(*(notation().symbol(name) for notation in _NOTATIONS))
        array = self._backend.to_numpy(self.run.of(value))
        formula, shapes, source, code = more or (Formula("", "", ""), (), "", "")
        return Line(name, part, layer, symbol, formula, shapes, source, code, array, **renews)

    # -- the update ------------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """The parameters ``(P,)`` after the step."""
        return self.run.of(self.program.outputs[0])

    def updates(self, arrays: dict[str, np.ndarray]) -> Iterator[Update]:
        """Yield how the step changes each parameter; ``arrays`` are the arrays of the lines, by name."""
        thetas = map(self._backend.to_numpy, (self._before, self.theta))
        before, after = map(self._layout.split, thetas)
        for name, shape in self._layout.named_shapes:
            kind, number = name[0], int(name[1:]) - 1
            old, new = getattr(before[number], kind), getattr(after[number], kind)
            with np.errstate(all="ignore"):
                before_norm, slope, change = map(norm, (old, arrays[f"dL_d{name}"], new - old))
                yield Update(name, shape, before_norm, slope, change, new)
