"""NumPy alone: the bare matrix products, and the notebook's equations."""

from functools import partial

import numpy as np

from step_contestants.contestant import Contestant, State
from step_contestants.problem import BETA1, BETA2, EPSILON, Problem


def floor(problem: Problem) -> Contestant:
    """Return the matrix products of a step and nothing else."""
    calls = _products(problem)

    def step() -> None:
        for A, B, out in calls:
            np.matmul(A, B, out=out)

    return Contestant(step, None, exempt="it computes no step", note=f"{len(calls)} products")


def _products(problem: Problem) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return (A, B, out) of the 3L-1 products, in the order of a step."""
    n, sizes = problem.cell.batch, problem.cell.sizes
    rng = np.random.default_rng(1)

    def filled(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype="float32")

    A = [problem.X, *(filled(n, size) for size in sizes[1:])]  # (n, n_l)
    D = [filled(n, size) for size in sizes[1:]]  # (n, n_l)   dL_dZ
    calls = []
    for number, W in enumerate(problem.weights):
        calls.append((A[number], W, np.empty((n, W.shape[1]), "float32")))  # Z
    for number, W in reversed(list(enumerate(problem.weights))):
        calls.append((A[number].T, D[number], np.empty(W.shape, "float32")))  # dL_dW
        if number > 0:
            calls.append((D[number], W.T, np.empty((n, W.shape[0]), "float32")))  # dL_dA
    return calls


def notebook(problem: Problem) -> Contestant:
    """Return the notebook's equations; with Adam, the same manner of writing for deep relu networks."""
    network = Deep(problem) if problem.cell.adam else Notebook(problem)
    step = partial(network.step, problem.X, problem.Y, problem.rate)
    return Contestant(step, lambda _: network.state(problem.Y))


class Notebook:
    """The notebook's class: its expressions, unchanged; its loss is for its printed lines only."""

    def __init__(self, problem: Problem) -> None:
        (self.W1, self.W2), (self.b1, self.b2) = problem.copies()

    @staticmethod
    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def step(self, X: np.ndarray, y: np.ndarray, learning_rate: float) -> None:
        A1 = self.sigmoid(np.dot(X, self.W1) + self.b1)  # (n, n_1)
        A2 = self.sigmoid(np.dot(A1, self.W2) + self.b2)  # (n, n_2)
        output_delta = (y - A2) * A2 * (1 - A2)  # (n, n_2)
        hidden_delta = np.dot(output_delta, self.W2.T) * A1 * (1 - A1)  # (n, n_1)
        self.W2 += np.dot(A1.T, output_delta) * learning_rate
        self.b2 += np.sum(output_delta, axis=0, keepdims=True) * learning_rate
        self.W1 += np.dot(X.T, hidden_delta) * learning_rate
        self.b1 += np.sum(hidden_delta, axis=0, keepdims=True) * learning_rate
        self.predicted_output = A2

    def state(self, y: np.ndarray) -> State:
        D = self.predicted_output - y  # (n, n_2)
        return State(float(0.5 * np.sum(D * D)), [self.W1, self.W2, self.b1, self.b2])


class Deep:
    """Relu layers, softmax cross-entropy (the mean over rows) and Adam, as one writes them in NumPy."""

    def __init__(self, problem: Problem) -> None:
        self.weights, self.biases = problem.copies()
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in problem.parameters]
        self.t = 0
        self.P = problem.Y  # (n, n_L)   the probabilities of the last step

    def step(self, X: np.ndarray, Y: np.ndarray, learning_rate: float) -> None:
        A = [X]
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            A.append(np.maximum(np.dot(A[-1], W) + b, 0))  # (n, n_l)
        Z = np.dot(A[-1], self.weights[-1]) + self.biases[-1]  # (n, n_L)
        E = np.exp(Z - Z.max(axis=1, keepdims=True))  # (n, n_L)
        self.P = E / E.sum(axis=1, keepdims=True)  # (n, n_L)
        delta = (self.P - Y) / len(X)  # (n, n_L)
        self.update(self.gradients(A, delta), learning_rate)

    def gradients(self, A: list[np.ndarray], delta: np.ndarray) -> list[np.ndarray]:
        dW, db = [], []
        for number in reversed(range(len(self.weights))):
            dW.append(np.dot(A[number].T, delta))  # (n_in, n_out)
            db.append(np.sum(delta, axis=0, keepdims=True))  # (1, n_out)
            if number > 0:
                delta = np.dot(delta, self.weights[number].T) * (A[number] > 0)  # (n, n_l)
        return [*dW[::-1], *db[::-1]]

    def update(self, gradients: list[np.ndarray], learning_rate: float) -> None:
        self.t += 1
        correction1, correction2 = 1 - BETA1**self.t, 1 - BETA2**self.t
        parameters = [*self.weights, *self.biases]
        for number, g in enumerate(gradients):
            m, v = self.moments[number]
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            scale = np.sqrt(v / correction2) + EPSILON
            parameters[number] -= learning_rate * (m / correction1) / scale

    def state(self, Y: np.ndarray) -> State:
        L = -np.sum(Y * np.log(self.P)) / len(Y)
        return State(float(L), [*self.weights, *self.biases])
