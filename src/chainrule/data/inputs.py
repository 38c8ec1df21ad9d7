"""Inputs: the user's arrays, checked and moved to the backend of the network.

Host data (lists, NumPy arrays, data frames) are moved to the network's device, since the user chose that backend. An
array on a device is never moved silently. Each error is one line: what was got, what was wanted, the remedy.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Protocol, TypeAlias, Union

import array_api_compat
import numpy as np

from chainrule import backends
from chainrule.backends import Backend
from chainrule.backends.base import BLOCK
from chainrule.data.tables import is_number
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.naming import quoted, require
from chainrule.mathematics.precision import HALVES
from chainrule.program.engine import bounds

if TYPE_CHECKING:  # numpy.typing takes milliseconds to import
    from numpy.typing import ArrayLike

    class SupportsDLPack(Protocol):
        """An array that other libraries can read through DLPack."""

        def __dlpack__(self) -> Any:
            """Return the memory of the array."""


# Everything that is read as an array: lists, NumPy arrays, data frames, tensors.
AnyArray: TypeAlias = Union["ArrayLike", "SupportsDLPack"]

_BLOCK_BYTES = 2**26  # size of the rows that are converted at once


class Door(NamedTuple):
    """How data are converted and checked: the backend and dtype, whether NaN is refused, and the fewest rows."""

    backend: Backend
    dtype: str
    finite: bool = True
    fewest: int = 1

    def wide(self, X: Any, sizes: Sequence[int]) -> "Door":
        """Return the door for data that are used in batches; large data may stay on the host, to be streamed.

        Parameters
        ----------
        X
            The samples, before they are checked.
        sizes : sequence of int
            The widths of the network's layers.

        Returns
        -------
        Door
            The door, with the backend that holds the data.
        """
        if is_device_array(X):
            return self
        nbytes = count(X) * (sizes[0] + sizes[-1] + 1) * np.dtype(self.dtype).itemsize
        return self._replace(backend=self.backend.holder(nbytes))


def is_device_array(x: Any) -> bool:
    """Return whether ``x`` is an array of a library other than NumPy.

    Parameters
    ----------
    x : object
        Anything.

    Returns
    -------
    bool
        ``False`` for NumPy arrays, and for objects that are not arrays.
    """
    return array_api_compat.is_array_api_obj(x) and not isinstance(x, np.ndarray | np.generic)


def host(array: Any) -> Any:
    """Return an array of any library as a NumPy array.

    Parameters
    ----------
    array : object
        Array of any shape; objects that are not arrays are returned unchanged.

    Returns
    -------
    array
        On the host, of the same shape and dtype.
    """
    return backends.of(array).to_numpy(array) if is_device_array(array) else array


def count(X: Any) -> int:
    """Return the number of rows of X before it is checked.

    Parameters
    ----------
    X : object
        The samples.

    Returns
    -------
    int
        1 if X has no length.

    Examples
    --------
    >>> count([[1.0], [2.0]]), count(None)
    (2, 1)
    """
    try:
        return max(1, len(X))
    except TypeError:
        return 1


def features(X: Any, n_in: int, door: Door) -> Array:
    """Return the samples on the backend, with finite entries.

    Parameters
    ----------
    X : array
        ``(n, n_in)``.
    n_in : int
        The number of features.
    door : Door
        The backend and dtype.

    Returns
    -------
    array
        ``X (n, n_in)``.

    Raises
    ------
    TypeError
        If X is not an array of numbers, or is on another device.
    ValueError
        If X is empty, has another shape, or contains NaN or infinity; the message names the first one.
    """
    return placed(matrix(X, n_in, door), "X", door)


def matrix(X: Any, n_in: int, door: Door) -> Any:
    """Return the samples on their own device and in their own dtype, after a check of their shape.

    Parameters
    ----------
    X, n_in, door
        As in :func:`features`.

    Returns
    -------
    array
        ``X (n, n_in)``.

    Raises
    ------
    TypeError, ValueError
        As in :func:`features`, except for NaN and infinity.
    """
    shown = "X" if array_api_compat.is_array_api_obj(X) else "np.asarray(X)"
    X = numbers(X, "X", door.backend)
    if len(X.shape) != 2:
        remedy = "give a row a sample"
        if tuple(X.shape) == (n_in,):
            remedy = f"for one sample give {shown}[None, :]"
        elif len(X.shape) == 1 and n_in == 1:
            remedy = f"for samples of one feature give {shown}[:, None]"
        elif len(X.shape) > 2 and math.prod(X.shape[1:]) == n_in:
            remedy = f"give {shown}.reshape(-1, {n_in})"
        msg = f"X has shape {tuple(X.shape)} but the network takes (n, {n_in}); {remedy}"
        raise ValueError(msg)
    rows, columns = X.shape
    doubt = "was it transposed?" if rows == n_in else "was a column added or lost?"
    require(columns == n_in, f"X has {columns} features but the network takes {n_in}; {doubt}")
    require(rows >= door.fewest, f"X has no rows; give at least one sample of {n_in} features")
    return X


def blocks(X: Any, door: Door) -> Iterator[Array]:
    """Yield the rows of a :func:`matrix` in blocks, each as :func:`features` returns it.

    A file mapped into memory, or an array of another dtype, is never converted as a whole.

    Parameters
    ----------
    X : array
        ``(n, d)``.
    door : Door
        The backend and dtype.

    Returns
    -------
    iterator of array
        Each ``(rows, d)``.
    """
    rows, columns = X.shape
    most = max(_BLOCK_BYTES // (columns * np.dtype(door.dtype).itemsize * BLOCK), 1) * BLOCK
    for start, stop in bounds(rows, rows if is_device_array(X) else most):
        yield placed(X[start:stop, :], "X", door, start)


def parameter(given: Any, shape: tuple[int, ...], name: str, door: Door) -> Array:
    """Return a parameter on the backend, with finite entries.

    Parameters
    ----------
    given : array
        The parameter.
    shape : tuple of int
        Its shape.
    name : str
        Its name in error messages.
    door : Door
        The backend and dtype.

    Returns
    -------
    array
        Array of this shape.

    Raises
    ------
    TypeError
        If it is not an array of numbers, or is on another device.
    ValueError
        If it has another shape, or is not finite.
    """
    array = numbers(given, name, door.backend)
    require(tuple(array.shape) == shape, f"{name} has shape {tuple(array.shape)}, wanted {shape}")
    return placed(array, name, door)


def numbers(x: Any, name: str, backend: Backend) -> Any:
    """Return ``x`` as an array of numbers, on the host or on the backend's device, without moving it.

    Parameters
    ----------
    x : object
        An array, a list or a data frame.
    name : str
        Its name in error messages.
    backend : Backend
        The backend of the network.

    Returns
    -------
    array
        Real numbers, in any shape.

    Raises
    ------
    TypeError
        If it is not an array of real numbers, or is on another device.
    ValueError
        If its rows differ in length, or it has masked entries.
    """
    if is_device_array(x):
        home = backends.of(x)
        problem = (
            f"{name} is on {home.describe()} but the network is on {backend.describe()}; nothing "
            "is copied between devices silently: move one of them"
        )
        require(home == backend, problem, TypeError)
        if namespace(x).isdtype(x.dtype, "complex floating"):
            _refuse(x, name, "c")
        return x
    if (
        hasattr(x, "mask") and isinstance(x, np.ma.MaskedArray) and x.mask.any()
    ):  # numpy.ma takes 14 ms to import
        msg = f"{name} has {x.mask.sum()} masked entries; fill them with .filled(value), or drop their rows"
        raise ValueError(msg)
    try:
        array = np.asarray(x)
    except ValueError:
        msg = f"{name} is ragged: its rows differ in length; give rows of one length"
        raise ValueError(msg) from None
    if array.dtype.kind not in "biuf":
        _refuse(x, name, array.dtype.kind)
    return array


def _refuse(x: Any, name: str, kind: str) -> NoReturn:
    """Raise ``TypeError`` with a remedy for an array that does not contain real numbers; ``kind`` is its dtype's kind."""
    shown = name if array_api_compat.is_array_api_obj(x) else f"np.asarray({name})"
    remedies = {
        "c": f"is complex; give {shown}.real, or abs({name})",
        "V": f"holds records; give np.array({shown}.tolist())",
        "m": f"holds lengths of time; give {shown}.astype('int64')",
        "M": f"holds dates; give {shown}.astype('int64')",
    }
    if hasattr(x, "toarray"):
        problem = f"is sparse; give {name}.toarray()"
    elif kind in remedies:
        problem = remedies[kind]
    elif np.ndim(x) == 0:
        problem = f"is {quoted(x)}, wanted an array of real numbers; give an array, or a list of rows"
    else:
        problem = _first_word(np.asarray(x, dtype=object), name)
    msg = f"{name} {problem}"
    raise TypeError(msg)


def _first_word(array: np.ndarray, name: str) -> str:
    """Return the first entry of an array that is not a number, and the remedy."""
    for place, value in np.ndenumerate(array):
        if not is_number(value):
            remedy = "fill or drop what is not one number"
            if isinstance(value, str | bytes):
                remedy = "make each word a column of 0 and 1 (sklearn.preprocessing.OneHotEncoder)"
                if name == "y":
                    remedy = "encode it: np.unique(y, return_inverse=True)[1], or use MLPClassifier"
            return f"holds {quoted(value)} at {_place(place)}, wanted real numbers; {remedy}"
    return f"holds numbers as text or objects; give np.asarray({name}, float)"


def _place(place: Sequence[int]) -> str:
    axes = zip(("row", "column", "depth"), place, strict=False)
    return ", ".join(f"{axis} {int(i)}" for axis, i in axes) + " (counted from 0)"


def placed(array: Any, name: str, door: Door, first_row: int = 0) -> Array:
    """Return an array of numbers on the backend, after a check for NaN and infinity.

    Parameters
    ----------
    array : array
        Array of any shape.
    name : str
        Its name in error messages.
    door : Door
        The backend and dtype.
    first_row : int
        The number of the first row in error messages.

    Returns
    -------
    array
        Array of the same shape.

    Raises
    ------
    ValueError
        The message has the first index of NaN or infinity, counted from 0.
    """
    array = in_plain_order(array)
    with door.backend.quiet():
        array = door.backend.asarray(array, door.dtype)
        xp = namespace(array)
        if not door.finite or bool(xp.all(xp.isfinite(array))):
            return array
    host = door.backend.to_numpy(array)
    host = host.reshape(len(host), -1)
    row, column = np.argwhere(~np.isfinite(host))[0]
    what = "NaN" if np.isnan(host[row, column]) else f"infinity in {host.dtype}"
    msg = f"{name} holds {what} at {_place((first_row + row, column))}; fill or drop it first"
    raise ValueError(msg)


def in_plain_order(array: Any) -> Any:
    """Return an array on the host with a byte order, strides and a dtype that every library accepts.

    Parameters
    ----------
    array : array
        Arrays of a device are returned unchanged.

    Returns
    -------
    array
        Contiguous, of the same shape.
    """
    if not isinstance(array, np.ndarray):
        return array
    plain = array.dtype.newbyteorder("=") if array.dtype.itemsize <= 8 else np.float64
    return np.asarray(array, dtype=plain, order="C")


def precision(dtype: str | None) -> tuple[str | None, str | None]:
    """Return the dtype of the parameters, and the dtype of the products in training if it differs.

    Parameters
    ----------
    dtype : str or dtype, optional
        "float32", "float64", "float16" or "bfloat16", or a dtype of NumPy or another library.

    Returns
    -------
    tuple
        Two names of dtypes, or ``None``.

    Examples
    --------
    >>> precision(np.float32), precision("bfloat16")
    (('float32', None), ('float32', 'bfloat16'))

    Raises
    ------
    ValueError
        If it is another dtype.
    """
    if dtype is None:
        return None, None
    try:
        name = np.dtype(dtype).name
    except TypeError:  # a dtype of another library, or none
        name = str(dtype).rpartition(".")[2]
    if name in HALVES:
        return "float32", name
    others = "'float32' or 'float64' (or 'float16', 'bfloat16' to train in 16 bits)"
    require(name in {"float32", "float64"}, f"dtype is {name}; give {others}")
    return name, None
