"""Saving: a network as the arrays and the record of a checkpoint, and back."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule._version import __version__
from chainrule.data.facts import TABLE, Facts
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.naming import quoted, require
from chainrule.mathematics.precision import HALVES
from chainrule.saving import checkpoint
from chainrule.saving.schema import NetworkRecord, parsed


class Saved(NamedTuple):
    """A network as a file holds it."""

    arguments: dict[str, Any]  # of ``NeuralNetwork``
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
    """Write the parameters ``theta (P,)``, on the host, and the description of the network, to a file.

    Raises
    ------
    ValueError
        If the file's name has another suffix than ``.safetensors``, an activation or the loss is not one of this
        package's, or the facts of a table in ``metadata`` do not fit the network.
    """
    check_name(path)
    described: NetworkRecord = parsed({**net.arguments(), "dtype": dtype}, NetworkRecord, "network")
    _check_table(dict(metadata), described)
    facts = {
        "network": described._asdict(),
        "metadata": metadata,
        "versions": {"chainrule": __version__, "numpy": np.__version__},
    }
    arrays: dict[str, np.ndarray] = {}
    for number, layer in enumerate(net.layout.split(theta), start=1):
        arrays |= {f"W{number}": layer.W, f"b{number}": layer.b}
    checkpoint.write(path, arrays, facts)


def check_name(
    path: str | PathLike[str],
    suffix: str = ".safetensors",
    wanted: str = "a model is a safetensors file",
) -> None:
    """Raise ``ValueError`` if the name of a file has the wrong suffix."""
    if Path(path).suffix not in {"", suffix}:
        right = Path(path).with_suffix(suffix).name
        msg = f"{Path(path).name!r} names another kind of file; {wanted}: {right!r}"
        raise ValueError(msg)


def read(path: str | PathLike[str], dtype: str | None = None) -> Saved:
    """Return the network in a file that :func:`write` wrote.

    Parameters
    ----------
    path
        The file.
    dtype
        The precision in which the parameters must be finite, unless it is the file's.

    Returns
    -------
    Saved
        The arguments of the network, its parameters and its metadata, checked against each other.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model of this package, or its parts do not fit together.
    """
    arrays, facts = checkpoint.read(path, _described)
    described, net = _described(facts, {name: array.shape for name, array in arrays.items()})
    dense = [Dense(arrays[f"W{i}"], arrays[f"b{i}"]) for i in range(1, net.depth + 1)]
    theta = np.asarray(net.layout.join(dense), dtype=np.float64)  # (P,)
    of = dtype or described.dtype
    with np.errstate(over="ignore"):
        problem = f"{path} holds weights that are not finite in {of}; load it in float64, or save the model again"
        require(np.isfinite(theta.astype("float32" if of in HALVES else of)).all(), problem)
    arguments = described._asdict()
    return Saved(arguments, arguments.pop("dtype"), theta, facts["metadata"])


def _described(
    facts: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[NetworkRecord, Architecture]:
    """Return the network that a record describes, after a check that its parts and the shapes agree."""
    described: NetworkRecord = parsed(facts.get("network"), NetworkRecord, "network")
    _check_table(parsed(facts.get("metadata"), dict, "metadata"), described)
    net = architecture(
        (described.input_size, described.hidden_size, described.output_size),
        described.activation,
        described.output_activation,
        described.loss,
        dropout=described.dropout,
        weight_decay=described.weight_decay,
        clip_norm=described.clip_norm,
    )
    wanted = dict(net.layout.named_shapes)
    for name in sorted(wanted.keys() | shapes.keys()):
        problem = f"{quoted(name)} has shape {shapes.get(name)}, wanted {wanted.get(name)}"
        require(shapes.get(name) == wanted.get(name), problem)
    return described, net


def facts_of(metadata: Mapping[str, Any]) -> Facts | None:
    """Return the facts of a table from the metadata of a network, or ``None``."""
    table = metadata.get(TABLE)
    if not isinstance(table, Mapping) or not {"features", "scaler"} <= table.keys():
        return None
    facts: Facts = parsed(table, Facts, TABLE)
    return facts


def _check_table(metadata: Mapping[str, Any], network: NetworkRecord) -> None:
    """Raise if the metadata hold the record of a table that does not fit the network."""
    facts = facts_of(metadata)
    if facts is not None:
        facts.check(network.input_size, network.output_size, network.loss)
