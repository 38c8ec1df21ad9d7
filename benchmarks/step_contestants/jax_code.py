"""JAX: the step compiled by XLA, called once a step, or fifty times by ``lax.scan``."""

from collections.abc import Callable
from typing import Any

import numpy as np

from step_contestants.contestant import Contestant, State
from step_contestants.problem import BETA1, BETA2, EPSILON, Problem

SCANNED = 50


def once_a_step(problem: Problem) -> Contestant:
    """Return ``jax.jit`` of a step, what it carries donated."""
    run = _Run(problem)
    return Contestant(run.caller(run.step), run.state, run.wait, note=run.note)


def scan(problem: Problem) -> Contestant:
    """Return ``jax.jit`` of fifty steps in ``lax.scan``."""
    run = _Run(problem)
    many, five = run.caller(run.scanned(SCANNED)), run.caller(run.scanned(5))
    return Contestant(many, run.state, run.wait, SCANNED, five, note=run.note)


class _Run:
    """What the compiled step carries, and the data it closes over nothing of."""

    def __init__(self, problem: Problem) -> None:
        import jax

        self._problem = problem
        self._X, self._Y = jax.device_put(problem.X), jax.device_put(problem.Y)
        start = [jax.numpy.array(part) for part in problem.parameters]  # copies: they are given up
        moments = [jax.numpy.zeros_like(part) for part in start] if problem.cell.adam else []
        self._carried = (start, moments, list(map(jax.numpy.copy, moments)), jax.numpy.float32(0))
        self.note = jax.default_backend()

    def caller(self, function: Callable[..., Any]) -> Callable[[], Any]:
        """Return a call of the compiled function, which hands on what it carries."""
        import jax

        compiled = jax.jit(function, donate_argnums=0)

        def call() -> Any:
            self._carried, L = compiled(self._carried, self._X, self._Y)
            return L

        return call

    def step(self, carried: Any, X: Any, Y: Any) -> Any:
        """Return what a step carries on, and its loss."""
        import jax

        parameters, m, v, t = carried
        loss = _cross_entropy if self._problem.cell.adam else _squared_error
        L, g = jax.value_and_grad(loss)(parameters, X, Y)
        if self._problem.cell.adam:
            return _adam(parameters, g, m, v, t + 1, self._problem.rate), L
        rate = self._problem.rate
        return ([p - rate * d for p, d in zip(parameters, g, strict=True)], m, v, t), L

    def scanned(self, steps: int) -> Callable[..., Any]:
        """Return so many steps as one function; its loss is that of the last."""
        import jax

        def many(carried: Any, X: Any, Y: Any) -> Any:
            carried, losses = jax.lax.scan(lambda c, _: self.step(c, X, Y), carried, length=steps)
            return carried, losses[-1]

        return many

    def wait(self) -> None:
        """Wait for the newest parameters."""
        import jax

        jax.block_until_ready(self._carried)

    def state(self, L: Any) -> State:
        """Return where it stands."""
        return State(float(L), [np.asarray(part) for part in self._carried[0]])


def _squared_error(parameters: list[Any], X: Any, Y: Any) -> Any:
    import jax

    W1, W2, b1, b2 = parameters
    A1 = jax.nn.sigmoid(X @ W1 + b1)  # (n, n_1)
    E = jax.nn.sigmoid(A1 @ W2 + b2) - Y  # (n, n_2)
    return 0.5 * jax.numpy.sum(E * E)  # ()


def _cross_entropy(parameters: list[Any], X: Any, Y: Any) -> Any:
    import jax

    depth = len(parameters) // 2
    A, weights, biases = X, parameters[:depth], parameters[depth:]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        A = jax.nn.relu(A @ W + b)  # (n, n_l)
    logs = jax.nn.log_softmax(A @ weights[-1] + biases[-1])  # (n, n_L)
    return -jax.numpy.sum(Y * logs) / len(X)  # ()


def _adam(parameters: list[Any], g: list[Any], m: Any, v: Any, t: Any, rate: float) -> Any:
    """Return what a step with Adam carries on."""
    import jax

    m = [BETA1 * a + (1 - BETA1) * d for a, d in zip(m, g, strict=True)]
    v = [BETA2 * a + (1 - BETA2) * d * d for a, d in zip(v, g, strict=True)]
    correction1, correction2 = 1 - BETA1**t, 1 - BETA2**t
    moved = [
        p - rate * (a / correction1) / (jax.numpy.sqrt(b / correction2) + EPSILON)
        for p, a, b in zip(parameters, m, v, strict=True)
    ]
    return moved, m, v, t
