"""Compare results by the largest difference, relative to the largest entry."""

import numpy as np


def relative_error(got, wanted):
    """Return ``max |got - wanted| / max |wanted|``; NaN, infinity and different shapes fail."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape
    assert np.isfinite(got).all()
    assert np.isfinite(wanted).all()
    size = np.abs(wanted).max()
    return np.abs(got - wanted).max() / size if size else np.abs(got).max()


def parameters(net):
    """Return all parameters of a network in one flat host array, weights and biases by layer."""
    host = net.backend.to_numpy
    return np.concatenate([np.ravel(host(part)) for layer in net.layers for part in layer])
