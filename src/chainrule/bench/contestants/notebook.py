"""The equations in plain NumPy, as in a notebook; in float64 they are the reference."""

from functools import partial

import numpy as np

from chainrule.bench.cell_data import BETA1, BETA2, EPSILON, CellData
from chainrule.bench.contestant import Contestant, State


def notebook(data: CellData, _operation: str) -> Contestant:
    """Return a pass of the notebook's equations; with Adam, of relu layers in the same style."""
    network = Deep(data) if data.cell.rule == "adam" else Shallow(data)
    batches = data.rows

    def run() -> None:
        for rows in batches:
            network.step(data.X[rows], data.Y[rows], data.rate)

    return Contestant(run, data.steps, lambda _: network.state(data.Y[batches[-1]]))


class Shallow:
    """One hidden layer of sigmoids: the notebook's expressions, unchanged; it computes no loss."""

    def __init__(self, data: CellData) -> None:
        (self.W1, self.W2), (self.b1, self.b2) = data.copies()
        self.predicted_output = data.Y  # (n, n_2)   the outputs of the last step

    @staticmethod
    def sigmoid(x: np.ndarray) -> np.ndarray:
        """Return ``1 / (1 + exp(-x))``."""
        A: np.ndarray = 1 / (1 + np.exp(-x))
        return A

    def step(self, X: np.ndarray, y: np.ndarray, learning_rate: float) -> None:
        """Compute the outputs and the gradients, and update the parameters."""
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
        """Return the parameters and the loss, half the sum of squares."""
        D = self.predicted_output - y  # (n, n_2)
        return State(float(0.5 * np.sum(D * D)), [self.W1, self.W2, self.b1, self.b2])


class Deep:
    """Relu layers, softmax cross-entropy (the mean over rows) and Adam in plain NumPy."""

    def __init__(self, data: CellData) -> None:
        self.weights, self.biases = data.copies()
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in data.parameters]
        self.t = 0
        self.P = data.Y  # (n, n_L)   the probabilities of the last step

    def step(self, X: np.ndarray, Y: np.ndarray, learning_rate: float) -> None:
        """Compute the outputs and the gradients, and update the parameters."""
        A = [X]
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            A.append(np.maximum(np.dot(A[-1], W) + b, 0))  # (n, n_l)
        Z = np.dot(A[-1], self.weights[-1]) + self.biases[-1]  # (n, n_L)
        E = np.exp(Z - Z.max(axis=1, keepdims=True))  # (n, n_L)
        self.P = E / E.sum(axis=1, keepdims=True)  # (n, n_L)
        delta = (self.P - Y) / len(X)  # (n, n_L)
        dW, db = [], []
        for number in reversed(range(len(self.weights))):
            dW.append(np.dot(A[number].T, delta))  # (n_in, n_out)
            db.append(np.sum(delta, axis=0, keepdims=True))  # (1, n_out)
            if number > 0:
                delta = np.dot(delta, self.weights[number].T) * (A[number] > 0)  # (n, n_l)
        self.t += 1
        correction1, correction2 = 1 - BETA1**self.t, 1 - BETA2**self.t
        parameters = [*self.weights, *self.biases]
        for number, g in enumerate([*dW[::-1], *db[::-1]]):
            m, v = self.moments[number]
            m += (1 - BETA1) * (g - m)
            v += (1 - BETA2) * (g * g - v)
            scale = np.sqrt(v / correction2) + EPSILON
            parameters[number] -= learning_rate * (m / correction1) / scale

    def state(self, Y: np.ndarray) -> State:
        """Return the parameters and the loss, the mean cross-entropy."""
        L = -np.sum(Y * np.log(self.P)) / len(Y)
        return State(float(L), [*self.weights, *self.biases])


def forward(data: CellData, rows: np.ndarray) -> np.ndarray:
    """Return the outputs ``(n, n_L)`` of these rows with the initial parameters; with Adam, the logits."""
    activation = partial(np.maximum, 0) if data.cell.rule == "adam" else Shallow.sigmoid
    A: np.ndarray = data.X[rows]  # (n, n_0)
    *_, last = data.weights
    for W, b in zip(data.weights, data.biases, strict=True):
        Z = np.dot(A, W) + b  # (n, n_l)
        A = activation(Z) if W is not last or data.cell.rule == "sgd" else Z  # (n, n_l)
    return A
