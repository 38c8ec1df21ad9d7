"""The schema of a model file: the types of named tuples, against which its JSON is checked.

They are :class:`NetworkRecord` and, for a network trained on a table, :class:`chainrule.data.facts.Facts`.
"""

import math
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from chainrule.mathematics.naming import quoted, require

_LARGEST = 2**63  # bound for whole numbers; JSON has none


class NetworkRecord(NamedTuple):
    """The arguments of ``NeuralNetwork``; :func:`~chainrule.mathematics.architecture.architecture` checks their values."""

    input_size: int
    hidden_size: list[int]
    output_size: int
    activation: list[str]
    output_activation: str
    loss: str
    dropout: float
    weight_decay: float
    clip_norm: float | None
    dtype: Literal["float32", "float64", "float16", "bfloat16"]


def parsed(value: Any, kind: Any, place: str) -> Any:
    """Return a value from JSON as a named tuple, list or plain value of a type.

    Parameters
    ----------
    value
        The result of ``json.loads``.
    kind
        The required type. Numbers must be finite; a ``float`` may be written as a whole number.
    place
        The name of the value in errors.

    Returns
    -------
    object
        An instance of ``kind``.

    Raises
    ------
    ValueError
        If the value has another type, or a field is missing.

    Examples
    --------
    >>> from chainrule.data.scaling import Scaler
    >>> parsed({"mean": [0], "scale": [1.5]}, Scaler, "scaler")
    Scaler(mean=array([0.]), scale=array([1.5]))
    >>> parsed({"mean": [0]}, Scaler, "scaler")
    Traceback (most recent call last):
    ...
    ValueError: scaler has no field 'scale'
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin is UnionType:
        # The plain type that matches exactly, or else the one that is not None.
        same = [part for part in parts if type(value) is part]
        kind = same[0] if same else next(part for part in parts if part is not NoneType)
        return parsed(value, kind, place)
    if origin is np.ndarray:
        return np.array(parsed(value, list[float], place))
    if origin is list and isinstance(value, list):
        return [parsed(item, parts[0], f"{place}[{i}]") for i, item in enumerate(value)]
    if hasattr(kind, "_fields") and isinstance(value, Mapping):
        fields = get_type_hints(kind)
        for name in fields:
            require(name in value, f"{place} has no field {name!r}")
        return kind(**{name: parsed(value[name], fields[name], f"{place}.{name}") for name in fields})
    if origin is Literal:
        fits = value in parts
    elif type(value) is int:
        fits = kind in {int, float} and abs(value) < _LARGEST
    else:
        fits = type(value) is kind and (kind is not float or math.isfinite(value))
    wanted = kind.__name__ if origin is None else str(kind)
    require(fits, f"{place} is {quoted(value)}, wanted {wanted}")
    return float(value) if kind is float else value
