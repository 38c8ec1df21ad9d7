"""Dtypes: NumPy's dtypes represent the dtypes of all libraries."""

from importlib import import_module
from typing import Any

import numpy as np


def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """Return NumPy's dtype for a name, a type or the dtype of any library.

    Returns
    -------
    numpy.dtype
        The dtype with this name.

    Raises
    ------
    ImportError
        If it is bfloat16 and ml_dtypes, which defines it for NumPy, is not installed.

    Examples
    --------
    >>> import array_api_strict
    >>> numpy_dtype(array_api_strict.float32), numpy_dtype("int32")
    (dtype('float32'), dtype('int32'))
    """
    if isinstance(dtype, np.dtype | type):
        return np.dtype(dtype)
    name = str(dtype).rpartition(".")[2]
    return np.dtype(import_module("ml_dtypes").bfloat16 if name == "bfloat16" else name)
