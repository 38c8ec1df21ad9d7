"""Models: a network as the arrays and the record of a checkpoint, and back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule._version import __version__
from chainrule.data.facts import TABLE, Facts
from chainrule.mathematics.architecture import Architecture, architecture
from chainrule.mathematics.naming import quoted, require
from chainrule.mathematics.precision import HALVES
from chainrule.saving import checkpoint
from chainrule.saving.files import PathLike
from chainrule.saving.schema import NetworkRecord, parsed

_WANTED = "a model is a safetensors file"


def write(
    path: PathLike, theta: np.ndarray, net: Architecture, dtype: str, metadata: Mapping[str, Any]
) -> None:
    """Write the parameters ``theta (P,)``, on the host, and the description of the network to a file.

    Raises
    ------
    ValueError
        If the file's suffix is not ``.safetensors``, an activation or the loss is not one of this package, or the
        facts of a table in ``metadata`` do not fit the network.
    """
    check_name(path)
    described: NetworkRecord = parsed({**net.arguments(), "dtype": dtype}, NetworkRecord, "network")
    _check_table(dict(metadata), described)
    versions = {"chainrule": __version__, "numpy": np.__version__}
    facts = {"network": described._asdict(), "metadata": metadata, "versions": versions}
    arrays: dict[str, np.ndarray] = {}
    for number, layer in enumerate(net.layout.split(theta), start=1):
        arrays |= {f"W{number}": layer.W, f"b{number}": layer.b}
    checkpoint.write(path, arrays, facts)


def check_name(path: PathLike, suffix: str = ".safetensors", wanted: str = _WANTED) -> None:
    """Raise ``ValueError`` if the name of a file has the wrong suffix."""
    path = Path(path)
    problem = f"{path.name!r} names another kind of file; {wanted}: {path.with_suffix(suffix).name!r}"
    require(path.suffix in {"", suffix}, problem)


def read(path: PathLike, dtype: str | None = None) -> tuple[np.ndarray, dict[str, Any], dict[str, Any]]:
    """Return the network in a file that :func:`write` wrote.

    Parameters
    ----------
    path
        The file.
    dtype
        The dtype of the network, in which the parameters must be finite; by default that of the file.

    Returns
    -------
    theta : ndarray
        ``(P,)``, float64.
    arguments, metadata : dict
        The arguments of ``NeuralNetwork``, and the metadata of the network.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a model of this package, or its parts do not fit together.
    """
    arrays, facts = checkpoint.read(path, _described)
    described, net = _described(facts, {name: array.shape for name, array in arrays.items()})
    parts = [arrays[name].ravel() for name, _ in net.layout.named_shapes]
    theta = np.concatenate(parts, dtype=np.float64)  # (P,)
    dtype = dtype or described.dtype
    with np.errstate(over="ignore"):
        problem = f"{path} holds weights that are not finite in {dtype}; load it in float64, or save the model again"
        require(np.isfinite(theta.astype("float32" if dtype in HALVES else dtype)).all(), problem)
    return theta, described._asdict() | {"dtype": dtype}, facts["metadata"]


def _described(
    facts: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[NetworkRecord, Architecture]:
    """Return the network of a record, and check that its parts and the shapes agree."""
    described: Any = parsed(facts.get("network"), NetworkRecord, "network")
    _check_table(parsed(facts.get("metadata"), dict, "metadata"), described)
    *sizes, activations, output, loss, dropout, weight_decay, clip_norm, _ = described
    additions = {"dropout": dropout, "weight_decay": weight_decay, "clip_norm": clip_norm}
    net = architecture(tuple(sizes), activations, output, loss, **additions)
    wanted = dict(net.layout.named_shapes)
    for name in sorted(wanted.keys() | shapes.keys()):
        problem = f"{quoted(name)} has shape {shapes.get(name)}, wanted {wanted.get(name)}"
        require(shapes.get(name) == wanted.get(name), problem)
    return described, net


def facts_of(metadata: Mapping[str, Any]) -> Facts | None:
    """Return the facts of a table in the metadata of a network, or ``None``."""
    table = metadata.get(TABLE)
    if not isinstance(table, Mapping) or not {"features", "scaler"} <= table.keys():
        return None
    facts: Facts = parsed(table, Facts, TABLE)
    return facts


def _check_table(metadata: Mapping[str, Any], network: NetworkRecord) -> None:
    """Raise if the metadata describe a table that does not fit the network."""
    facts = facts_of(metadata)
    if facts is not None:
        facts.check(network.input_size, network.output_size, network.loss)
