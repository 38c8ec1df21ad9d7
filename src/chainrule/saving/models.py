"""Saving: a network as the arrays and the record of a checkpoint, and back."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule import backends
from chainrule._version import __version__
from chainrule.data.inputs import Door, parameter
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.layers import Dense
from chainrule.saving import checkpoint


class Saved(NamedTuple):
    """What a file holds of a network."""

    arguments: dict[str, Any]  # what ``NeuralNetwork`` is called with
    dtype: str
    theta: Array  # (P,), float64, on the host
    metadata: dict[str, Any]


def write(
    path: str | PathLike[str],
    theta: np.ndarray,
    net: Architecture,
    dtype: str,
    metadata: Mapping[str, Any],
) -> None:
    """Write the parameters ``theta (P,)``, on the host, and what the network is, to a file.

    Raises
    ------
    ValueError
        If the file's name has another suffix than ``.safetensors``, or an activation or the loss is not one of
        this package's.
    """
    check_name(path)
    facts = {
        "network": {**net.arguments(), "dtype": dtype},
        "metadata": metadata,
        "versions": {"chainrule": __version__, "numpy": np.__version__},
    }
    arrays: dict[str, np.ndarray] = {}
    for number, layer in enumerate(net.layout.split(theta), start=1):
        arrays |= {f"W{number}": layer.W, f"b{number}": layer.b}
    checkpoint.write(path, arrays, facts)


def check_name(path: str | PathLike[str]) -> None:
    """Raise ``ValueError`` if the name of a file has another suffix than ``.safetensors``."""
    if Path(path).suffix not in {"", ".safetensors"}:
        right = Path(path).with_suffix(".safetensors").name
        msg = f"{Path(path).name!r} names another kind of file; a model is a safetensors file: {right!r}"
        raise ValueError(msg)


def read(path: str | PathLike[str]) -> Saved:
    """Return what :func:`write` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model of this package, or its arrays do not fit together.
    """
    arrays, facts = checkpoint.read(path)
    try:
        described = dict(facts["network"])
        dtype = described.pop("dtype")
        return Saved(
            described, dtype, _theta(arrays, _architecture(**described)), dict(facts["metadata"])
        )
    except (KeyError, TypeError) as error:
        msg = f"{path} is damaged: it lacks or misstates {error}; save the model again"
        raise ValueError(msg) from None


def _architecture(
    *, input_size: int, hidden_size: Any, output_size: int, activation: Any, loss: str, **more: Any
) -> Architecture:
    output_activation = more.pop("output_activation")
    sizes = (input_size, hidden_size, output_size)
    return architecture(sizes, activation, output_activation, loss, **more)


def _theta(arrays: Mapping[str, np.ndarray], net: Architecture) -> Array:
    """Return the flat parameters ``(P,)`` on the host, float64, from the arrays of a file."""
    host = Door(backends.named("numpy"), "float64")
    parts = {name: parameter(arrays[name], shape, name, host) for name, shape in net.layout.named_shapes}
    numbers = range(1, net.depth + 1)
    return net.layout.join([Dense(parts[f"W{number}"], parts[f"b{number}"]) for number in numbers])
