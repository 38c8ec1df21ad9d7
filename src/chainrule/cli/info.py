"""`chainrule info`: the installed versions and the available backends."""

import platform
from importlib import import_module
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import typer
from threadpoolctl import threadpool_info

from chainrule import NeuralNetwork, backends
from chainrule._version import __version__, how_to_install
from chainrule.backends import trial
from chainrule.backends.numpy import native_is_at_hand
from chainrule.bench.judge.machines import library
from chainrule.bench.report.word_table import Table
from chainrule.cli import show
from chainrule.cli.options import AsJson, option
from chainrule.mathematics.naming import refusing
from chainrule.program.machine import cores


def info(
    namespace: Annotated[str | None, option("info.namespace")] = None, as_json: AsJson = False
) -> None:
    """Show the installed versions, and for each backend whether it can be used, or why not."""
    if namespace is not None:
        _check(namespace)
        return
    facts = {
        "chainrule": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": cores(),
        "numpy": np.__version__,
        "blas": _blas(),
        "native code": _native(),
        "array-api-compat": version("array-api-compat"),
    }
    records = [record._asdict() for record in backends.available()]
    table = Table("backends", ("name", "usable", "version", "devices, or why not"), texts=4)
    for one in records:
        devices = ", ".join(one["devices"]) if one["usable"] else one["reason"]
        usable = "yes" if one["usable"] else "no"
        table.rows.append((one["name"], usable, one["version"] or "", devices))
    show.results([show.facts("versions", facts), table], {**facts, "backends": records}, as_json=as_json)


def _check(name: str) -> None:
    """Print a line for each function of a namespace that is missing or wrong; end with 1 if there is one."""
    problem = (
        f"cannot import {name!r} ({{}}); give an installed module, such as array_api_strict or jax.numpy"
    )
    with refusing(ImportError, problem):
        backend = backends.get(import_module(name)) or backends.named("numpy")
    lines = trial.every_problem(backend)
    try:
        lines = lines or _difference(backend)
    except backends.BackendUnavailableError as error:
        lines = [str(error)]
    except Exception as error:  # noqa: BLE001  any library's
        lines = [trial.failed_call(error)]
    number = getattr(import_module(name.partition(".")[0]), "__version__", "")
    typer.echo("\n".join(lines) or f"{name} {number}: trains, predicts, saves and loads as NumPy does")
    if lines:
        raise typer.Exit(1)


def _difference(backend: backends.Backend) -> list[str]:
    """Learn XOR as two classes, save, load and predict, there and on NumPy; return a line if the ends differ."""
    X, y, ends = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], []
    for place in (backend, backends.named("numpy")):
        net = NeuralNetwork(
            2, 4, 2, loss="cross_entropy", backend=place, dtype="float32", seed=1, **trial.EXTRAS
        )
        net.train(X, y, 50, 0.1, batch_size=2, validation_data=(X, y), progress=False)
        net.predict_classes(X)
        with TemporaryDirectory() as folder:
            net.save(f"{folder}/net.safetensors")
            net = NeuralNetwork.load(f"{folder}/net.safetensors", backend=place)
        ends.append(place.to_numpy(net.predict(X)))
    ours, numpys = ends
    if np.allclose(ours, numpys, atol=1e-4):
        return []
    return [f"a trained network predicts {ours.tolist()}, NumPy's {numpys.tolist()}"]


def _blas() -> str | None:
    """Return the library that multiplies NumPy's matrices, and its threads."""
    np.ones((2, 2)) @ np.ones((2, 2))  # loads the BLAS
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return "; ".join(map(library, pools)) or None


def _native() -> str:
    """Return whether long runs on NumPy are compiled, or the command that installs what is missing."""
    if native_is_at_hand():
        return f"llvmlite {version('llvmlite')}"
    return f"none; {how_to_install('jit')} makes long runs on NumPy up to several times as fast"
