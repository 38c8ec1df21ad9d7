"""Ours: on each backend the engine that ``train`` uses, the forward pass, and ``train`` itself."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from chainrule import backends
from chainrule.backends import Backend, BackendUnavailableError
from chainrule.backends.numpy import native_is_at_hand
from chainrule.backends.speed_map.spots import network
from chainrule.bench.cell_data import CellData
from chainrule.bench.contestant import Contestant, State, UnavailableError, over_batches
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.network import NeuralNetwork
from chainrule.program.engine import Engine, Epoch, Work
from chainrule.training.evaluation import outputs
from chainrule.training.history import History

MANY = 10**9  # steps; a run this long is worth compiling for


def numpy(data: CellData, operation: str) -> Contestant:
    """Return chainrule on NumPy without the extra ``jit``."""
    sys.modules["llvmlite"] = None  # type: ignore[assignment]  # as if it were not installed
    return backend("numpy", data, operation)


def numpy_jit(data: CellData, operation: str) -> Contestant:
    """Return chainrule on NumPy with the extra ``jit``."""
    if not native_is_at_hand():
        msg = "llvmlite is installed, but NumPy has no BLAS that native code can call"
        raise UnavailableError(msg)
    return backend("numpy", data, operation)


def backend(name: str, data: CellData, operation: str) -> Contestant:
    """Return chainrule on a backend, as ``backend=`` names it."""
    makers = {"step": _steps, "forward": _forward, "epoch": _epochs, "transfer": _transfer}
    return makers[operation](data, available(name))


def cupy_plain(data: CellData, _operation: str) -> Contestant:
    """Return the step on CuPy as written, operation by operation."""
    cupy = available("cupy")
    return _steps(data, cupy, cupy.plain)


def available(name: str) -> Backend:
    """Return a backend; raise ``UnavailableError`` if it cannot be used here."""
    try:
        return backends.named(name)
    except BackendUnavailableError as why:
        raise UnavailableError(str(why)) from None


def work(data: CellData, backend: Backend) -> Work:
    """Return the step as ``train`` passes it to its backend."""
    net, optimizer = network(data.cell.sizes, data.cell.rule)
    X, Y = backend.asarray(data.X), backend.asarray(data.Y)  # (batches n, n_0), (batches n, n_L)
    theta = backend.copy(backend.asarray(_theta(data, net)))  # (P,)
    progress = Progress(theta, optimizer.init(theta))
    return Work(TrainingStep(net, optimizer), progress, Batch(X, Y), data.bounds, steps=MANY)


def _theta(data: CellData, net: Architecture) -> np.ndarray:
    theta: np.ndarray = net.layout.join(list(map(Dense, data.weights, data.biases)))  # (P,)
    return theta


def _steps(
    data: CellData, backend: Backend, engine_of: Callable[[Work], Engine] | None = None
) -> Contestant:
    """Return a pass as an epoch of the engine; it reads the losses on the host when it ends."""
    step = work(data, backend)
    engine = (engine_of or backend.engine)(step)
    epoch = Epoch(data.order, step.bounds, [data.rate] * data.steps, None)
    run = partial(engine.run, epoch, lambda: None)  # without a check for Ctrl-C
    layout = network(data.cell.sizes, data.cell.rule)[0].layout

    def state(losses: list[float]) -> State:
        layers = layout.split(backend.to_numpy(engine.progress.theta))
        return State(float(losses[-1]), [*(layer.W for layer in layers), *(layer.b for layer in layers)])

    return Contestant(run, data.steps, state, context=engine.at_work)


def _forward(data: CellData, backend: Backend) -> Contestant:
    """Return forward passes over the batches, which are on the device and in order."""
    net, _ = network(data.cell.sizes, data.cell.rule)
    theta = backend.asarray(_theta(data, net))  # (P,)
    batches = [backend.asarray(data.X[rows]) for rows in data.rows]  # (n, n_0) each

    def forward(X: Any) -> Any:
        return outputs(theta, X, net, backend)  # (n, n_L)

    return over_batches(forward, batches, backend.synchronize, outputs=backend.to_numpy)


def _transfer(data: CellData, backend: Backend) -> Contestant:
    """Return a pass that gathers the batches on the host and copies them to the device."""

    def copied(rows: np.ndarray) -> Any:
        X = backend.copy(backend.asarray(data.X[rows]))  # (n, n_0)
        backend.asarray(data.Y[rows])  # (n, n_L)
        return X

    exempt = "it copies, and computes nothing"
    return over_batches(copied, data.rows, backend.synchronize, exempt=exempt)


def _epochs(data: CellData, backend: Backend) -> Contestant:
    """Return epochs of ``train``, which draw batches and keep a history; several per call."""
    net = trained(data, backend)
    X, Y = backend.asarray(data.X), backend.asarray(data.Y)

    def epochs(count: int) -> History:
        # The start of a long run: a short one is not worth compiling for.
        return net.train(
            *(X, Y, MANY, data.rate),
            batch_size=data.cell.batch,
            optimizer=data.cell.rule,
            callbacks=[lambda record: record.epoch + 1 >= count],
            progress=False,
        )

    def clocked(count: int) -> float:
        # Use the history's timestamps, so that compilation before the first epoch is not counted.
        clock = epochs(count + 1)["seconds"]
        return float(clock[-1] - clock[0])

    def state(history: History) -> State:
        return State(history["loss"][-1], [net.backend.to_numpy(layer.W) for layer in net.layers])

    exempt = "it draws its own order of the rows"
    return Contestant(partial(epochs, 1), data.steps, state, exempt=exempt, clocked=clocked)


def trained(data: CellData, backend: Backend) -> NeuralNetwork:
    """Return a network with the data's initial weights, for calls of ``train``."""
    architecture, _ = network(data.cell.sizes, data.cell.rule)
    net = NeuralNetwork(**architecture.arguments(), backend=backend, dtype=data.cell.dtype, seed=0)
    for number, (W, b) in enumerate(zip(data.weights, data.biases, strict=True)):
        net.set_layer(number, W=W, b=b)
    return net
