"""Checkpoints: named arrays and a record of plain values, in one safetensors file.

Any tool for safetensors reads the arrays; the record is JSON in the header, under the key ``chainrule``. Nothing is
pickled.
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.mathematics.naming import quoted, refusing, require
from chainrule.saving.files import PathLike, write_whole

FORMAT = 1
"""The version of the record. Files of later versions are refused."""

Shapes = dict[str, tuple[int, ...]]  # shapes of the arrays, by name
Check = Callable[[dict[str, Any], Shapes], object]

_KEY, _CHECKSUM = "chainrule", "crc32"  # keys in the header, and in the record inside it
_DTYPES = "float16, float32, float64, integers and bool"


def write(path: PathLike, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Write arrays and metadata to a file, completely or not at all.

    Parameters
    ----------
    path
        The file to make or to replace, usually ending in ``.safetensors``.
    arrays
        NumPy arrays of numbers or booleans, by name.
    metadata
        Values that JSON can hold; floats must be finite.

    Raises
    ------
    TypeError
        If an array or a value of ``metadata`` has a type that cannot be written.

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

    record = {"format": FORMAT, **metadata}
    problem = "the metadata cannot be written as JSON ({}); use plain, finite values"
    with refusing((TypeError, ValueError), problem, TypeError):
        json.dumps(record, allow_nan=False)
    plain = {name: _plain(array, name) for name, array in arrays.items()}
    text = json.dumps({**record, _CHECKSUM: _checksum(record, plain)})
    write_whole(path, save(plain, metadata={_KEY: text}))


def _plain(array: np.ndarray, name: str) -> np.ndarray:
    """Return the array row-major and little-endian, as safetensors stores it."""
    array = np.asarray(array)
    problem = f"array {name!r} is {array.dtype}, wanted {_DTYPES}; convert it first"
    require(array.dtype.kind in "biuf" and array.dtype.itemsize <= 8, problem, TypeError)
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def read(path: PathLike, check: Check | None = None) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the metadata that :func:`write` wrote.

    Parameters
    ----------
    path
        The file.
    check
        Called with the metadata and the shapes of all arrays before any array is read; it raises
        ``ValueError`` if they do not fit together.

    Returns
    -------
    arrays : dict of str to ndarray
        The arrays by name.
    metadata : dict
        Plain values.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, was not written by :func:`write`, or has a later format.

    Examples
    --------
    >>> read("none.safetensors")
    Traceback (most recent call last):
    ...
    FileNotFoundError: there is no file none.safetensors
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    problem = f"{path} is a folder; give a file" if path.is_dir() else f"there is no file {path}"
    require(path.is_file(), problem, FileNotFoundError)
    problem = f"{path} is not a model file, or is truncated ({{}}); give one that chainrule saved"
    with refusing(SafetensorError, problem), safe_open(path, framework="numpy") as file:
        record = _record(path, file.metadata() or {})
        checksum = record.pop(_CHECKSUM, None)  # None in files of the first versions
        metadata = {name: value for name, value in record.items() if name != "format"}
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  not a mapping
        for name, part in slices.items():
            dtype = part.get_dtype()
            problem = f"{path} holds array {quoted(name)} of {dtype}, wanted {_DTYPES}; convert it first"
            require(re.fullmatch(r"BOOL|[IU](8|16|32|64)|F(16|32|64)", dtype), problem)
        shapes = {name: tuple(part.get_shape()) for name, part in slices.items()}
        damaged = f"{path} is damaged, or is not a chainrule model: {{}}; save the model again"
        with refusing((TypeError, ValueError), damaged):
            if check is not None:
                check(metadata, shapes)
        arrays = {name: file.get_tensor(name) for name in slices}
    damaged = f"{path} is damaged: its checksum does not match; use a copy, or save the model again"
    require(checksum in {None, _checksum(record, arrays)}, damaged)
    return arrays, metadata


def _checksum(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the CRC-32 of the record and the arrays, which detects damaged numbers."""
    total = zlib.crc32(json.dumps(record).encode())
    for name in sorted(arrays):
        total = zlib.crc32(_plain(arrays[name], name).data, total)
    return f"{total:08x}"


def _record(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    problem = f"{path} holds arrays but no chainrule model; give a file that chainrule saved"
    with refusing((KeyError, TypeError, AttributeError, ValueError, RecursionError), problem):
        record: dict[str, Any] = json.loads(header[_KEY])
        version = record["format"]
    problem = f"{path} has format {quoted(version)}, this chainrule reads {FORMAT}; upgrade chainrule"
    require(version == FORMAT, problem)
    return record
