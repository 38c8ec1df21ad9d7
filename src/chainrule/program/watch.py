"""Watch: run a program operation by operation, and keep all values."""

from collections.abc import Callable, Sequence

import numpy as np

from chainrule.mathematics.arrays import Array, namespace
from chainrule.program.operations import Program, Value


class Evaluated:
    """The values of a program for some inputs, each an array of their library.

    Parameters
    ----------
    program
        The program.
    inputs
        The arrays of its inputs.
    asarray
        The method of the backend: from the host to its device.

    Examples
    --------
    >>> from chainrule.program.trace import Spec, trace
    >>> program = trace(lambda x: x * 2.0 + 1.0, Spec((2,), "float64", "x"))
    >>> run = Evaluated(program, [np.asarray([1.0, 2.0])], np.asarray)
    >>> [run.of(operation.result).tolist() for operation in program.operations]
    [[2.0, 4.0], [3.0, 5.0]]
    """

    def __init__(self, program: Program, inputs: Sequence[Array], asarray: Callable[..., Array]) -> None:
        self._asarray = asarray
        self._arrays = dict(zip(map(id, program.inputs), inputs, strict=True))
        xp = namespace(inputs[0])
        for operation in program.operations:
            operands = [self.of(o) if isinstance(o, Value) else o for o in operation.operands]
            self._arrays[id(operation.result)] = operation.computed(operands, xp)

    def of(self, value: Value) -> Array:
        """Return the array of a value; a constant has its full shape."""
        if value.data is not None and id(value) not in self._arrays:
            full = np.array(np.broadcast_to(value.data, value.shape))
            self._arrays[id(value)] = self._asarray(full)
        return self._arrays[id(value)]

    def knows(self, value: Value) -> bool:
        """Return whether the value was computed: values that no output depends on are not."""
        return value.is_constant or id(value) in self._arrays
