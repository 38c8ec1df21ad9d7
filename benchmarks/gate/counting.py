"""Arrays that compute with NumPy, and count the calls and the reads of the host.

They stand in for an accelerator's arrays. There, a number that the host reads (``float(L)``, ``if L < best``,
``np.asarray(L)``) makes it wait for the device; here it is answered, and counted.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import array_api_compat.numpy as xp
import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from chainrule.backends.numpy import NumpyLibrary
from chainrule.program.operations import Operation
from chainrule.program.primitives import VIEWS
from chainrule.program.replay import Call

NOTHING_COMPUTED = VIEWS | {"concat", "ones_like", "zeros_like"}


class Counting:
    """The counts of its arrays, and their Array API namespace.

    Attributes
    ----------
    calls
        The number of calls of each function.
    row_products
        The matrix products with one row of ones on the left: the gradients of biases.
    reads
        The number of times the host read numbers.

    Examples
    --------
    >>> counting = Counting()
    >>> x = counting.array(np.ones((2, 3)))
    >>> y = counting.tanh(x @ counting.matrix_transpose(x) + 1.0)
    >>> dict(counting.calls), counting.reads
    ({'matrix_transpose': 1, 'matmul': 1, 'add': 1, 'tanh': 1}, 0)
    >>> bool(y[0, 0] > 0.5), counting.reads
    (True, 1)
    """

    def __init__(self) -> None:
        self.__name__ = __name__  # array_api_compat compares namespaces by name
        self.calls: Counter[str] = Counter()
        self.row_products = 0
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        member = getattr(xp, name)
        is_function = callable(member) and not isinstance(member, type)
        return partial(self.call, name, member) if is_function else member

    def array(self, values: Any) -> "Counted":
        """Return an array whose calls and reads are counted here."""
        return Counted(np.asarray(values), self)

    def call(self, name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of NumPy, and count the call."""
        arguments = [bare(argument) for argument in args]
        self.count(name, arguments)
        result = function(*arguments, **{key: bare(value) for key, value in kwargs.items()})
        return self.array(result) if isinstance(result, np.ndarray | np.generic) else result

    def count(self, name: str, arguments: list[Any]) -> None:
        """Count a call of a function."""
        self.calls[name] += 1
        if name == "matmul":
            left = arguments[0]
            self.row_products += left.shape[-2] == 1 and bool((left == 1).all())

    @property
    def products(self) -> int:
        """The matrix products without those of a row of ones."""
        return self.calls["matmul"] - self.row_products

    @property
    def computed(self) -> int:
        """The calls that compute something: neither views nor constants."""
        return sum(count for name, count in self.calls.items() if name not in NOTHING_COMPUTED)


class Counted(NDArrayOperatorsMixin):
    """An array of a :class:`Counting`, with the part of the Array API standard that a step uses."""

    device = None

    def __init__(self, values: np.ndarray, counting: Counting) -> None:
        self.values, self._counting = values, counting
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim

    def __array_namespace__(self, *, api_version: str | None = None) -> Counting:
        return self._counting

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._counting.call(ufunc.__name__, getattr(ufunc, method), *args, **kwargs)

    def reshape(self, shape: tuple[int, ...]) -> "Counted":
        """Return the array with another shape; not counted, as a replay does it once."""
        return self._counting.array(self.values.reshape(shape))

    def swapaxes(self, first: int, second: int) -> "Counted":
        """Return the array with two axes exchanged; not counted either."""
        return self._counting.array(self.values.swapaxes(first, second))

    def __getitem__(self, key: Any) -> "Counted":
        return self._counting.array(self.values[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.values[key] = bare(value)

    def _read(self) -> np.ndarray:
        self._counting.reads += 1
        return self.values

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self._read()

    def __float__(self) -> float:
        return float(self._read())

    def __int__(self) -> int:
        return int(self._read())

    def __bool__(self) -> bool:
        return bool(self._read())

    def __complex__(self) -> complex:
        return complex(self._read())

    def item(self) -> Any:
        """Return the number, on the host."""
        return self._read().item()

    def tolist(self) -> Any:
        """Return the numbers, on the host."""
        return self._read().tolist()


class CountingLibrary:
    """NumPy's ``program.replay.Library`` on counted arrays; what is not defined here is NumPy's."""

    def __init__(self, counting: Counting) -> None:
        self._counting, self._numpy = counting, NumpyLibrary()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._numpy, name)

        def uncounted(*args: Any) -> Any:
            result = function(*map(bare, args))
            return self._counting.array(result) if isinstance(result, np.ndarray) else result

        return uncounted

    def call(self, operation: Operation, arguments: list[Any], out: Counted) -> Call:
        """Return the call that computes ``operation`` into ``out``, and counts it."""
        plain = [bare(argument) for argument in arguments]
        function, bound = self._numpy.call(operation, plain, out.values)

        def counted() -> None:
            self._counting.count(operation.function, plain)
            function(*bound)

        return counted, ()

    def gather(self, source: Counted, rows: Counted, out: Counted) -> None:
        """Copy rows of ``source`` to ``out``."""
        self._counting.call("take", self._numpy.gather, source, rows, out)

    def listed(self, array: Counted) -> list[float]:
        """Return the numbers of a 1-d array, on the host."""
        numbers: list[float] = array.tolist()
        return numbers


def bare(value: Any) -> Any:
    """Return the NumPy array of a counted one, also in a list or a tuple of them."""
    if isinstance(value, list | tuple):
        return type(value)(map(bare, value))
    return value.values if isinstance(value, Counted) else value
