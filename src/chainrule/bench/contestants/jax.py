"""JAX: the step compiled by XLA, called once per step, or for all batches of a pass by ``lax.scan``."""

from functools import partial
from typing import Any

import jax as library
import numpy as np

from chainrule.bench.cell_data import BETA1, BETA2, EPSILON, CellData
from chainrule.bench.contestant import Contestant, State, over_batches

numpy = library.numpy


def jit(data: CellData, operation: str) -> Contestant:
    """Return ``jax.jit`` of a step, called for each batch, with its parameters donated."""
    if operation == "forward":
        return _forward(data)
    run = _Run(data)
    compiled = library.jit(run.step, donate_argnums=0)

    def step(rows: Any) -> Any:
        run.carried, L = compiled(run.carried, run.X, run.Y, rows)
        return L

    return over_batches(step, run.rows, run.wait, state=run.state)


def scan(data: CellData, _operation: str) -> Contestant:
    """Return ``jax.jit`` of a pass in ``lax.scan``."""
    run = _Run(data)
    rows = numpy.stack(run.rows)  # (steps, n)

    def steps(carried: Any, X: Any, Y: Any, rows: Any) -> Any:
        carried, losses = library.lax.scan(lambda c, at: run.step(c, X, Y, at), carried, rows)
        return carried, losses[-1]

    compiled = library.jit(steps, donate_argnums=0)

    def one_pass() -> Any:
        run.carried, L = compiled(run.carried, run.X, run.Y, rows)
        return L

    return Contestant(one_pass, data.steps, run.state, wait=run.wait)


def _forward(data: CellData) -> Contestant:
    batches = [numpy.asarray(data.X[rows]) for rows in data.rows]  # (n, n_0) each
    parameters = [numpy.asarray(part) for part in data.parameters]
    forward = partial(library.jit(partial(_outputs, data.cell.rule)), parameters)
    return over_batches(forward, batches, library.block_until_ready, outputs=np.asarray)


class _Run:
    """The data, and what the compiled step carries: the parameters, Adam's moments, and the number of steps."""

    def __init__(self, data: CellData) -> None:
        self._rule, self._rate = data.cell.rule, data.rate
        self.X, self.Y = library.device_put(data.X), library.device_put(data.Y)
        self.rows = [numpy.asarray(rows) for rows in data.rows]  # (n,) each
        start = [numpy.array(part) for part in data.parameters]  # copies, since they are donated
        m, v = ([numpy.zeros_like(part) for part in start if self._rule == "adam"] for _ in range(2))
        self.carried: Any = (start, m, v, numpy.zeros((), data.cell.dtype))

    def step(self, carried: Any, X: Any, Y: Any, rows: Any) -> Any:
        """Return the carry of a step on some rows, and its loss."""
        # The default mode compares every index with the bounds.
        X, Y = (numpy.take(part, rows, axis=0, mode="clip") for part in (X, Y))  # (n, n_0), (n, n_L)
        parameters, m, v, t = carried
        L, g = library.value_and_grad(partial(_loss, self._rule))(parameters, X, Y)
        if self._rule == "adam":
            return _adam(parameters, g, m, v, t + 1, self._rate), L
        return ([p - self._rate * d for p, d in zip(parameters, g, strict=True)], m, v, t), L

    def wait(self, *_: Any) -> None:
        """Return when the parameters are computed."""
        library.block_until_ready(self.carried)

    def state(self, L: Any) -> State:
        """Return the loss and the parameters."""
        return State(float(L), [np.asarray(part) for part in self.carried[0]])


def _outputs(rule: str, parameters: list[Any], X: Any) -> Any:
    """Return the outputs, with Adam the logits."""
    depth = len(parameters) // 2
    f = library.nn.relu if rule == "adam" else library.nn.sigmoid
    A = X  # (n, n_0)
    for number, (W, b) in enumerate(zip(parameters[:depth], parameters[depth:], strict=True)):
        Z = A @ W + b  # (n, n_l)
        A = Z if rule == "adam" and number == depth - 1 else f(Z)  # (n, n_l)
    return A


def _loss(rule: str, parameters: list[Any], X: Any, Y: Any) -> Any:
    """Return half the sum of squares, with Adam the mean cross-entropy."""
    A = _outputs(rule, parameters, X)  # (n, n_L)
    if rule == "adam":
        return -numpy.sum(Y * library.nn.log_softmax(A)) / len(X)  # ()
    E = A - Y  # (n, n_L)
    return 0.5 * numpy.sum(E * E)  # ()


def _adam(parameters: list[Any], g: list[Any], m: Any, v: Any, t: Any, rate: float) -> Any:
    """Return the carry of a step with Adam."""
    m = [BETA1 * a + (1 - BETA1) * d for a, d in zip(m, g, strict=True)]
    v = [BETA2 * a + (1 - BETA2) * d * d for a, d in zip(v, g, strict=True)]
    correction1, correction2 = 1 - BETA1**t, 1 - BETA2**t
    moved = [
        p - rate * (a / correction1) / (numpy.sqrt(b / correction2) + EPSILON)
        for p, a, b in zip(parameters, m, v, strict=True)
    ]
    return moved, m, v, t
