"""Checkpoints: named arrays and a record of plain values, in one safetensors file.

The format is that of safetensors, so any tool reads the arrays; the record is JSON in its header,
under the key ``chainrule``. Nothing is ever pickled.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.saving.files import PathLike, write_whole

FORMAT = 1
"""The version of the record. A file of a later one is refused."""

_KEY = "chainrule"
_DTYPES = "float16, float32, float64, integers and bool"


def write(path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write ``arrays`` and ``metadata`` beside ``path``, then rename the file into place.

    Parameters
    ----------
    path
        The file to make or to replace, customarily ending in ``.safetensors``.
    arrays
        NumPy arrays of numbers or booleans, by name.
    metadata
        Values that JSON can hold; floats must be finite.

    Raises
    ------
    TypeError
        If an array or a value of ``metadata`` is of a kind that cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/m.safetensors", {"W1": np.eye(2)}, {"note": "a first try"})
    ...     arrays, metadata = read(f"{folder}/m.safetensors")
    >>> arrays["W1"].shape, metadata
    ((2, 2), {'note': 'a first try'})
    """
    from safetensors.numpy import save

    try:
        record = json.dumps({"format": FORMAT, **metadata}, allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"the metadata cannot be written as JSON ({error}); use plain, finite values"
        raise TypeError(msg) from error
    write_whole(path, save({k: _plain(a, k) for k, a in arrays.items()}, metadata={_KEY: record}))


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    """Return the array as safetensors stores it: row-major and little-endian."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        msg = f"array {name!r} is {array.dtype}, wanted {_DTYPES}; convert it first"
        raise TypeError(msg)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def read(path: PathLike) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the metadata that :func:`write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or none that :func:`write` wrote, or of a later format.

    Examples
    --------
    >>> read("none.safetensors")
    Traceback (most recent call last):
    ...
    FileNotFoundError: there is no file none.safetensors
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        msg = f"{path} is a folder; give a file" if path.is_dir() else f"there is no file {path}"
        raise FileNotFoundError(msg)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = _metadata(path, file.metadata())
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        msg = f"{path} is no model file, or is cut short ({error}); give one that chainrule saved"
        raise ValueError(msg) from error
    return arrays, metadata


def _metadata(path: Path, header: Mapping[str, str] | None) -> dict[str, Any]:
    try:
        record = json.loads((header or {})[_KEY])
        version = record.pop("format")
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        msg = f"{path} holds arrays but no chainrule model; give a file that chainrule saved"
        raise ValueError(msg) from error
    if version != FORMAT:
        msg = f"{path} has format {version!r}, this chainrule reads {FORMAT}; upgrade chainrule"
        raise ValueError(msg)
    return dict(record)
