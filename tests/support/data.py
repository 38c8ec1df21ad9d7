"""Data to train on, drawn by NumPy from fixed seeds."""

import numpy as np
import pytest

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
XOR_Y = np.array([[0], [1], [1], [0]])


@pytest.fixture
def rng():
    """A generator of its own for each test, always the same."""
    return np.random.default_rng(20260101)


def samples(rng, rows, features):
    """Return ``X (rows, features)``, standard normal."""
    return rng.standard_normal((rows, features))


def regression(rng, rows=12):
    """Return ``X (rows, 3)`` and a smooth function of it, ``(rows, 1)``."""
    X = samples(rng, rows, 3)
    return X, np.sin(X @ np.array([[1.0], [2.0], [-1.0]]))


def targets(rng, loss, shape):
    """Return targets that the loss takes, ``shape`` ``(..., n, n_out)``, float64."""
    if loss == "cross_entropy":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if loss in {"binary_cross_entropy", "multilabel_cross_entropy"}:
        return rng.integers(0, 2, shape).astype(float)
    return rng.uniform(0.1, 0.9, shape)


def blobs(rng, rows, features, classes):
    """Return ``X (rows, features)`` and labels ``(rows,)`` of classes that lie apart."""
    labels = rng.integers(0, classes, rows)
    middles = 3.0 * rng.standard_normal((classes, features))
    return middles[labels] + 0.5 * rng.standard_normal((rows, features)), labels
