"""The counting library: what a replay needs of a library, on arrays that count."""

from typing import Any

import numpy as np

from chainrule.backends.numpy import NumpyLibrary
from chainrule.bench.judge.gate.counting import Counted, Counting, bare
from chainrule.program.operations import Operation
from chainrule.program.replay import Call


class CountingLibrary:
    """NumPy's, counted: see ``program.replay.Library`` for what each function is for."""

    def __init__(self, counting: Counting) -> None:
        self._counting, self._numpy = counting, NumpyLibrary()

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Counted:
        """Return an array of any content."""
        return self._counting.array(self._numpy.empty(shape, dtype))

    def reshaped(self, raw: Counted, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Counted:
        """Return the first bytes of ``raw`` as an array of this shape and dtype."""
        return self._counting.array(self._numpy.reshaped(raw.held, shape, dtype))

    def constant(self, data: np.ndarray) -> Counted:
        """Return a known array."""
        return self._counting.array(self._numpy.constant(data))

    def shares(self, view: Counted, array: Counted) -> bool:
        """Return whether what was reshaped looks at the memory of what it was, and is no copy."""
        return self._numpy.shares(view.held, array.held)

    def call(self, operation: Operation, arguments: list[Any], out: Counted) -> Call:
        """Return the call that computes ``operation`` into ``out``, and counts it."""
        given = [bare(part) for part in arguments]
        function, bound = self._numpy.call(operation, given, out.held)

        def counted() -> None:
            self._counting.noted(operation.function, given)
            function(*bound)

        return counted, ()

    def gather(self, source: Counted, rows: Counted, out: Counted) -> None:
        """Copy rows of ``source`` to ``out``."""
        self._counting.noted("take", [])
        self._numpy.gather(source.held, rows.held, out.held)

    def fill(self, target: Counted, number: float) -> None:
        """Write a number into a 0-d array."""
        target.held[()] = number

    def listed(self, array: Counted) -> list[float]:
        """Return the numbers of a 1-d array, on the host."""
        numbers: list[float] = array.tolist()
        return numbers

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return the calls as they are."""
        return calls
