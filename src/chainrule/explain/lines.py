"""Lines: the step traced, run operation by operation, and shown line by line.

What is shown is the program of the very step that trains. Its names are the variables of the
mathematics, its formulas are read off its operations, and its arrays are what those operations make.
"""

from collections.abc import Iterator

import numpy as np

from chainrule.backends import Backend
from chainrule.explain import sources
from chainrule.explain.expressions import Node, constant, formula, products
from chainrule.explain.notation import Html, Latex, Text
from chainrule.explain.records import Formula, Line, Update
from chainrule.explain.tracing import Start, names, parameters, section, traced
from chainrule.mathematics.arrays import record_like
from chainrule.mathematics.step import Progress, TrainingStep
from chainrule.program.names import Mention
from chainrule.program.operations import Operation, Value
from chainrule.program.watch import Evaluated

_NOTATIONS = (Text(), Html(), Latex())


class Builder:
    """The lines of a step.

    Parameters
    ----------
    step, start
        What is run, and from where.
    backend
        Where its arrays live.
    every
        Whether each operation has a line, or only what the mathematics has a name for.
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
        # A value has other names inside other functions: by the functions at work there.
        self._local = {(m.within, id(m.value)): m.name for m in self.program.mentions}

    # -- lines -----------------------------------------------------------------------------------

    def lines(self) -> Iterator[Line]:
        """Yield the lines in the order of the computation."""
        yield from self._inputs()
        theta = self.program.outputs[0]
        waiting = [o for o in self.program.operations if not o.is_view and o.result is not theta]
        for mention in self.program.mentions:
            if not self._is_shown(mention.value):
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

    def _is_shown(self, value: Value) -> bool:
        return self.run.knows(value) and (self._every or "int" not in value.dtype.name)

    def _inputs(self) -> Iterator[Line]:
        nothing = Formula("", "", "")
        given = {value.name: value for value in self.program.inputs}
        parts = parameters(self.program)
        layers: dict[str, int | None] = dict.fromkeys(
            name for name, v in given.items() if v.role in {"sample", "target", "weight", "rate"}
        )
        layers |= {name: int(name[1:]) for name, _ in self._layout.named_shapes if name in parts}
        for name, layer in layers.items():
            array = self._host((given | parts)[name])
            yield Line(name, "inputs", layer, _symbol(name), nothing, (), "", "", array)

    def _operation(self, operation: Operation, layer: int | None = None, name: str = "") -> Line:
        """Return the line of what an operation makes."""
        value = operation.result

        def called(other: Value) -> str:
            local = self._local.get((operation.within, id(other)))
            return local or self._names.get(id(other), "")

        name = name or self._names[id(value)]
        written = _written(formula(operation, self._makers, called))
        shapes = tuple(products(operation, self._makers, called))
        source = sources.of_line(operation.origin)
        renews = any(value is output for output in self.program.outputs[:-1])
        array, part = self._host(value), section(operation.within)
        return Line(name, part, layer, _symbol(name), written, shapes, *source, array, renews)

    def _alias(self, mention: Mention) -> Line:
        """Return the line of another name for a value."""
        value, name = mention.value, mention.name
        known = self._names.get(id(value))
        node = constant(value) if value.is_constant or known is None else Node("symbol", known)
        source = sources.of_variable(mention.code, mention.variable)
        if mention.variable in mention.code.co_varnames[: mention.code.co_argcount]:
            made = self._makers[id(value)]  # handed down: it comes from where it was made
            source = sources.of_line(made.origin)
        array, part = self._host(value), section(mention.within)
        return Line(name, part, mention.layer, _symbol(name), _written(node), (), *source, array)

    def _host(self, value: Value) -> np.ndarray:
        return self._backend.to_numpy(self.run.of(value))

    # -- the update ------------------------------------------------------------------------------

    @property
    def end(self) -> Progress:
        """The parameters and the state after the step."""
        theta, *state = (self.run.of(value) for value in self.program.outputs[:-1])
        return Progress(theta, record_like(self._start.progress.state, state))

    def updates(self, arrays: dict[str, np.ndarray]) -> Iterator[Update]:
        """Yield what the step does to each parameter; ``arrays`` are those of the lines, by name."""
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


def _symbol(name: str) -> Formula:
    return _written(Node("symbol", name))


def _written(node: Node) -> Formula:
    return Formula(*(notation.write(node) for notation in _NOTATIONS))
