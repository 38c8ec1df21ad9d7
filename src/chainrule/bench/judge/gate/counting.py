"""Counting: arrays that compute what NumPy's do, and count what is asked of them.

They stand where an accelerator's arrays would. A number that the host reads of them (``float(L)``, ``if L <
best``, ``np.asarray(L)``) would stop the device until it has computed it: it is answered, and counted.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import array_api_compat.numpy as xp
import numpy as np

from chainrule.program.operations import VIEWS

NOTHING_COMPUTED = VIEWS | {"concat", "ones_like", "zeros_like"}


class Counting:
    """What was asked of its arrays so far; also their namespace.

    Attributes
    ----------
    calls
        How often each function was called.
    rows
        How many of the products were of one row of ones: the gradients of biases.
    reads
        How often the host read numbers.

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
        self.__name__ = __name__  # namespaces are told apart by name
        self.calls: Counter[str] = Counter()
        self.rows = 0
        self.reads = 0

    def __getattr__(self, function: str) -> Any:
        found = getattr(xp, function)
        is_function = callable(found) and not isinstance(found, type)
        return partial(self.called, function, found) if is_function else found

    def array(self, values: Any) -> "Counted":
        """Return an array that is counted here."""
        return Counted(np.asarray(values), self)

    def called(self, name: str, function: Callable[..., Any], *given: Any, **how: Any) -> Any:
        """Call a function of NumPy's, and count it."""
        arguments = [bare(part) for part in given]
        self.noted(name, arguments)
        made = function(*arguments, **{key: bare(value) for key, value in how.items()})
        return self.array(made) if isinstance(made, np.ndarray | np.generic) else made

    def noted(self, name: str, arguments: list[Any]) -> None:
        """Count a call."""
        self.calls[name] += 1
        if name == "matmul":
            left = arguments[0]
            self.rows += left.shape[-2] == 1 and bool((left == 1).all())

    @property
    def products(self) -> int:
        """The matrix products, those of a row of ones apart."""
        return self.calls["matmul"] - self.rows

    @property
    def computed(self) -> int:
        """The calls that compute something: no views, no constants."""
        return sum(count for name, count in self.calls.items() if name not in NOTHING_COMPUTED)


class Counted:
    """An array of a :class:`Counting`; it has what the standard asks of an array, as far as a step uses it."""

    device = None
    __array_ufunc__ = None  # NumPy is not to compute with it behind the count's back

    def __init__(self, held: np.ndarray, counting: Counting) -> None:
        self.held = held
        self._counting = counting

    @property
    def shape(self) -> tuple[int, ...]:
        """As of any array."""
        return self.held.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """As of any array."""
        return self.held.dtype

    @property
    def ndim(self) -> int:
        """As of any array."""
        return self.held.ndim

    def reshape(self, shape: tuple[int, ...]) -> "Counted":
        """Return the array as another shape, as the libraries that are replayed have it."""
        return Counted(self.held.reshape(shape), self._counting)

    def swapaxes(self, one: int, other: int) -> "Counted":
        """Return it with two axes exchanged, likewise."""
        return Counted(self.held.swapaxes(one, other), self._counting)

    def __array_namespace__(self, *, api_version: str | None = None) -> Counting:
        return self._counting

    def __getitem__(self, key: Any) -> "Counted":
        return self._counting.array(self.held[key])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.held[key] = bare(value)

    def _read(self) -> np.ndarray:
        self._counting.reads += 1
        return self.held

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        return self._read()

    def item(self) -> Any:
        """Return the number, on the host."""
        return self._read().item()

    def tolist(self) -> Any:
        """Return the numbers, on the host."""
        return self._read().tolist()


def bare(value: Any) -> Any:
    """Return NumPy's array of a counted one, in a list or a tuple of them too."""
    if isinstance(value, list | tuple):
        return type(value)(map(bare, value))
    return value.held if isinstance(value, Counted) else value


def _operator(function: str, *, is_reflected: bool = False) -> Callable[..., Counted]:
    def operator(self: Counted, *other: Any) -> Counted:
        operands = (*other, self) if is_reflected else (self, *other)
        found: Counted = getattr(self._counting, function)(*operands)
        return found

    return operator


def _conversion(kind: Callable[[Any], Any]) -> Callable[[Counted], Any]:
    return lambda self: kind(self._read())


_BINARY = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "divide",
    "matmul": "matmul",
    "and": "bitwise_and",
    "xor": "bitwise_xor",
    "pow": "pow",
    "lshift": "bitwise_left_shift",
    "rshift": "bitwise_right_shift",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
_UNARY = {"neg": "negative", "abs": "abs"}
for _symbol, _function in (_BINARY | _COMPARISONS | _UNARY).items():
    setattr(Counted, f"__{_symbol}__", _operator(_function))
for _symbol, _function in _BINARY.items():
    setattr(Counted, f"__r{_symbol}__", _operator(_function, is_reflected=True))
for _kind in (float, int, bool, complex):
    setattr(Counted, f"__{_kind.__name__}__", _conversion(_kind))
