"""Lines: the step traced, run operation by operation, and shown line by line.

The lines show the program of the same step that trains. Its names are the variables of the
mathematics, its formulas are read off its operations, and its arrays are the results of those operations.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from chainrule.backends import Backend
from chainrule.explain import sources
from chainrule.explain.expressions import Scope, products
from chainrule.explain.notation import Html, Latex, Text
from chainrule.explain.records import Formula, Line, Update
from chainrule.explain.tracing import Start, names, parameters, section, traced
from chainrule.mathematics.arrays import record_like
from chainrule.mathematics.step import Progress, TrainingStep
from chainrule.program.names import Mention
from chainrule.program.operations import Operation, Value
from chainrule.program.watch import Evaluated

_NOTATIONS = (Text, Html, Latex)


class Builder:
    """The lines of a step.

    Parameters
    ----------
    step, start
        The step, and the state that it starts from.
    backend
        The backend of its arrays.
    every
        Whether each operation has a line, or only the values that have a name in the mathematics.
    """

    def __init__(
        self, step: TrainingStep, start: Start, backend: Backend, *, every: bool = False
    ) -> None:
        self._start, self._backend, self._every = start, backend, every
        self._layout = step.net.layout
        self.program = traced(step, start)
        with backend.quiet():
            self.run = Evaluated(self.program, start.arrays, backend.asarray)
        self._makers = {id(operation.result): operation for operation in self.program.operations}
        self._names = names(self.program)
        if every:
            parts = (o for o in self.program.operations if not o.is_view)
            self._names = {id(o.result): self.program.name(o.result) for o in parts} | self._names
        # A value may have other names inside other functions: by the functions active there.
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
            made = self._makers.get(id(mention.value))
            if made is None or made.result.name != mention.name:
                yield self._alias(mention)
                continue
            while self._every and made in waiting:
                yield self._operation(waiting.pop(0), mention.layer)
            if not self._every:
                yield self._operation(made, mention.layer)
        yield from (self._operation(operation) for operation in waiting if self._every)
        yield self._operation(self._makers[id(theta)], None, "theta")

    def _inputs(self) -> Iterator[Line]:
        parts = parameters(self.program)
        given = {value.name: value for value in self.program.inputs}
        layers: dict[str, int | None] = dict.fromkeys(
            name for name, v in given.items() if v.role in {"sample", "target", "weight", "rate"}
        )
        layers |= {name: int(name[1:]) for name, _ in self._layout.named_shapes if name in parts}
        for name, layer in layers.items():
            yield self._line(name, "inputs", layer, (given | parts)[name])

    def _operation(self, operation: Operation, layer: int | None = None, name: str = "") -> Line:
        """Return the line of the result of an operation."""
        value = operation.result

        def called(other: Value) -> str:
            local = self._local.get((operation.within, id(other)))
            return local or self._names.get(id(other), "")

        scope = Scope(self._makers, called)
        source = sources.of_line(operation.origin)
        line = self._line(name or self._names[id(value)], section(operation.within), layer, value)
        return replace(
            line,
            formula=Formula(*(notation(scope).formula(operation) for notation in _NOTATIONS)),
            products=tuple(products(operation, scope)),
            source=source.place,
            code=source.text,
            renews=any(value is output for output in self.program.outputs[:-1]),
        )

    def _alias(self, mention: Mention) -> Line:
        """Return the line of another name for a value."""
        value, code = mention.value, mention.code
        scope = Scope({}, lambda other: "" if other.is_constant else self._names.get(id(other), ""))
        if mention.variable in code.co_varnames[: code.co_argcount]:
            # An argument: show where its value was made.
            source = sources.of_line(self._makers[id(value)].origin)
        else:
            source = sources.of_variable(code, mention.variable)
        formula = Formula(*(notation(scope).write(value) for notation in _NOTATIONS))
        line = self._line(mention.name, section(mention.within), mention.layer, value)
        return replace(line, formula=formula, source=source.place, code=source.text)

    def _line(self, name: str, part: str, layer: int | None, value: Value) -> Line:
        """Return a line without a formula."""
        symbol = Formula(*(notation().symbol(name) for notation in _NOTATIONS))
        array = self._backend.to_numpy(self.run.of(value))
        return Line(name, part, layer, symbol, Formula("", "", ""), (), "", "", array)

    # -- the update ------------------------------------------------------------------------------

    @property
    def end(self) -> Progress:
        """The parameters and the state after the step."""
        theta, *state = (self.run.of(value) for value in self.program.outputs[:-1])
        return Progress(theta, record_like(self._start.progress.state, state))

    def updates(self, arrays: dict[str, np.ndarray]) -> Iterator[Update]:
        """Yield how the step changes each parameter; ``arrays`` are those of the lines, by name."""
        before, after = (
            self._layout.split(self._backend.to_numpy(progress.theta))
            for progress in (self._start.progress, self.end)
        )
        for name, shape in self._layout.named_shapes:
            kind, number = name[0], int(name[1:]) - 1
            old, new = getattr(before[number], kind), getattr(after[number], kind)
            slope = arrays[f"dL_d{name}"]
            with np.errstate(all="ignore"):
                before_norm, slope_norm, change = map(_norm, (old, slope, new - old))
            yield Update(name, shape, before_norm, slope_norm, change, new)


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))
