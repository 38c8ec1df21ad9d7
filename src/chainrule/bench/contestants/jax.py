"""JAX: the step compiled by XLA, called once a step, or a pass of them by ``lax.scan``."""

from functools import partial
from typing import Any

import jax as library
import numpy as np

from chainrule.bench.cell_data import BETA1, BETA2, EPSILON, CellData
from chainrule.bench.contestant import Contestant, State, over_batches

numpy = library.numpy


def jit(data: CellData, operation: str) -> Contestant:
    """Return ``jax.jit`` of a step, what it carries donated, called for each batch."""
    if operation == "forward":
        return _forward(data)
    run = _Run(data)
    compiled = library.jit(run.taken, donate_argnums=0)

    def step(rows: Any) -> Any:
        run.carried, L = compiled(run.carried, run.X, run.Y, rows)
        return L

    return over_batches(step, run.rows, run.wait, state=run.state)


def scan(data: CellData, _operation: str) -> Contestant:
    """Return ``jax.jit`` of a pass in ``lax.scan``."""
    run = _Run(data)
    rows = numpy.stack(run.rows)  # (steps, n)

    def many(carried: Any, X: Any, Y: Any, rows: Any) -> Any:
        carried, losses = library.lax.scan(lambda c, at: run.taken(c, X, Y, at), carried, rows)
        return carried, losses[-1]

    compiled = library.jit(many, donate_argnums=0)

    def passed() -> Any:
        run.carried, L = compiled(run.carried, run.X, run.Y, rows)
        return L

    return Contestant(passed, data.steps, run.state, wait=run.wait)


def products(data: CellData, operation: str, exempt: str) -> Contestant:
    """Return the products of a pass as one compiled ``lax.scan`` over the batches.

    They are those of a network without activations: each takes what the one before it made, all the way from
    its own batch of X, so that XLA can neither leave one out nor move it before the loop. What they make is
    carried on, and written over by the next step.
    """
    weights = [numpy.asarray(W) for W in data.weights]
    batches = numpy.asarray(data.X).reshape(data.steps, -1, data.X.shape[1])  # (steps, n, n_0)

    def step(_carried: Any, X: Any) -> Any:
        A = [X]
        for W in weights:
            A.append(A[-1] @ W)  # (n, n_l)
        if operation == "forward":
            return A[-1], None
        D, dL_dW = A[-1], []
        for number in reversed(range(len(weights))):
            dL_dW.append(A[number].T @ D)  # (n_in, n_out)
            if number > 0:
                D = D @ weights[number].T  # (n, n_l)
        return dL_dW, None

    start = step(None, batches[0])[0]
    compiled = library.jit(lambda carried, batches: library.lax.scan(step, carried, batches)[0])
    held: list[Any] = [start]

    def run() -> None:
        held[0] = compiled(start, batches)

    return Contestant(run, data.steps, wait=lambda: library.block_until_ready(held), exempt=exempt)


def _forward(data: CellData) -> Contestant:
    batches = [numpy.asarray(data.X[rows]) for rows in data.rows]  # (n, n_0) each
    parameters = [numpy.asarray(part) for part in data.parameters]
    compiled = library.jit(_logits if data.cell.rule == "adam" else _sigmoids)
    forward = partial(compiled, parameters)
    return over_batches(forward, batches, library.block_until_ready, outputs=np.asarray)


class _Run:
    """What the compiled step carries, and the data it is given."""

    def __init__(self, data: CellData) -> None:
        self._data = data
        self.X, self.Y = library.device_put(data.X), library.device_put(data.Y)
        self.rows = [numpy.asarray(rows) for rows in data.rows]  # (n,) each
        start = [numpy.array(part) for part in data.parameters]  # copies: they are given up
        moments = [numpy.zeros_like(part) for part in start] if data.cell.rule == "adam" else []
        t = numpy.zeros((), data.cell.dtype)  # ()
        self.carried: Any = (start, moments, list(map(numpy.copy, moments)), t)

    def taken(self, carried: Any, X: Any, Y: Any, rows: Any) -> Any:
        """Return what a step on some rows carries on, and its loss."""
        # The default mode compares every index with the bounds.
        X, Y = (numpy.take(part, rows, axis=0, mode="clip") for part in (X, Y))  # (n, n_0), (n, n_L)
        return self._step(carried, X, Y)

    def _step(self, carried: Any, X: Any, Y: Any) -> Any:
        parameters, m, v, t = carried
        is_adam, rate = self._data.cell.rule == "adam", self._data.rate
        loss = _cross_entropy if is_adam else _squared_error
        L, g = library.value_and_grad(loss)(parameters, X, Y)
        if is_adam:
            return _adam(parameters, g, m, v, t + 1, rate), L
        return ([p - rate * d for p, d in zip(parameters, g, strict=True)], m, v, t), L

    def wait(self, *_: Any) -> None:
        """Return when the parameters are computed."""
        library.block_until_ready(self.carried)

    def state(self, L: Any) -> State:
        """Return where training stands."""
        return State(float(L), [np.asarray(part) for part in self.carried[0]])


def _sigmoids(parameters: list[Any], X: Any) -> Any:
    W1, W2, b1, b2 = parameters
    return library.nn.sigmoid(library.nn.sigmoid(X @ W1 + b1) @ W2 + b2)  # (n, n_2)


def _squared_error(parameters: list[Any], X: Any, Y: Any) -> Any:
    E = _sigmoids(parameters, X) - Y  # (n, n_2)
    return 0.5 * numpy.sum(E * E)  # ()


def _logits(parameters: list[Any], X: Any) -> Any:
    depth = len(parameters) // 2
    A, weights, biases = X, parameters[:depth], parameters[depth:]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        A = library.nn.relu(A @ W + b)  # (n, n_l)
    return A @ weights[-1] + biases[-1]  # (n, n_L)


def _cross_entropy(parameters: list[Any], X: Any, Y: Any) -> Any:
    logs = library.nn.log_softmax(_logits(parameters, X))  # (n, n_L)
    return -numpy.sum(Y * logs) / len(X)  # ()


def _adam(parameters: list[Any], g: list[Any], m: Any, v: Any, t: Any, rate: float) -> Any:
    """Return what a step with Adam carries on."""
    m = [BETA1 * a + (1 - BETA1) * d for a, d in zip(m, g, strict=True)]
    v = [BETA2 * a + (1 - BETA2) * d * d for a, d in zip(v, g, strict=True)]
    correction1, correction2 = 1 - BETA1**t, 1 - BETA2**t
    moved = [
        p - rate * (a / correction1) / (numpy.sqrt(b / correction2) + EPSILON)
        for p, a, b in zip(parameters, m, v, strict=True)
    ]
    return moved, m, v, t
