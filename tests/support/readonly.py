"""NumPy arrays that are read-only, with read-only results.

The mathematics must not write in place, because some libraries cannot. On these arrays ``+=``, ``out=`` and assignments to
elements raise an error.
"""

import numpy as np

from chainrule.backends.numpy import NumpyBackend


class ReadOnly(np.ndarray):
    """An ndarray that cannot be written to, and whose results cannot be either."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            msg = f"{ufunc.__name__} got out=, but arrays are read-only"
            raise ValueError(msg)
        return frozen(getattr(ufunc, method)(*map(_plain, inputs), **kwargs))

    def __array_function__(self, function, types, args, kwargs):
        return frozen(function(*_plain(args), **_plain(kwargs)))


def _plain(value):
    """Return ``value`` with the read-only arrays in it seen as plain ones, still not writeable."""
    if isinstance(value, ReadOnly):
        return value.view(np.ndarray)
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def frozen(value):
    """Return the array, or those in the tuple, as read-only ones."""
    if isinstance(value, tuple):
        return tuple(map(frozen, value))
    if not isinstance(value, np.ndarray):
        return value
    shown = value.view(ReadOnly)
    shown.flags.writeable = False
    return shown


class ReadOnlyBackend(NumpyBackend):
    """NumPy, but every array is read-only; the step runs as it is written."""

    def asarray(self, x, dtype=None):
        return frozen(np.array(x, dtype=dtype, order="C"))

    def to_numpy(self, array):
        return np.array(array, subok=False)

    def copy(self, array, out=None):
        del out  # nothing can be written to
        return frozen(np.array(array, subok=False))

    def engine(self, work):
        return self.plain(work)

    def kernels(self, work):
        del work
