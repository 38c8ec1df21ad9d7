"""Activations: their values against other forms of the same functions, and at the extremes."""

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork
from chainrule.mathematics.activations import ACTIVATIONS, gelu
from support.compare import relative_error

Z = np.linspace(-6.0, 6.0, 243).reshape(3, -1)

# The same functions as a person would write them, good for moderate Z.
PLAIN = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z > 0, z, 0.0),
    "gelu": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "softplus": lambda z: np.logaddexp(0.0, z),
    "identity": lambda z: z,
}
SLOPES = {
    "sigmoid": lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2,
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "gelu": lambda z: (PLAIN["gelu"](z + 1e-6) - PLAIN["gelu"](z - 1e-6)) / 2e-6,
    "softplus": PLAIN["sigmoid"],
    "identity": np.ones_like,
}
LIMITS = {  # at -1e4 and at 1e4: the value, the slope
    "sigmoid": ((0.0, 0.0), (1.0, 0.0)),
    "tanh": ((-1.0, 0.0), (1.0, 0.0)),
    "relu": ((0.0, 0.0), (1e4, 1.0)),
    "gelu": ((0.0, 0.0), (1e4, 1.0)),
    "softplus": ((0.0, 0.0), (1e4, 1.0)),
    "identity": ((-1e4, 1.0), (1e4, 1.0)),
}


def computed(name, Z, backend):
    f = ACTIVATIONS[name]
    Z = backend.asarray(Z)
    A = f.value(Z)
    return backend.to_numpy(A), backend.to_numpy(f.derivative(Z, A))


def test_values_and_slopes_are_those_of_the_plain_forms(backend):
    assert 0.0 in Z  # where relu has the slope 0
    for name in ACTIVATIONS:
        A, dA_dZ = computed(name, Z, backend)
        assert relative_error(A, PLAIN[name](Z)) < 1e-15, name
        assert relative_error(dA_dZ, SLOPES[name](Z)) < (1e-9 if name == "gelu" else 1e-14), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_inputs_give_the_limits_and_no_warning(backend, dtype):
    for name, limits in LIMITS.items():
        A, dA_dZ = computed(name, np.array([[-1e4, 1e4]], dtype), backend)
        assert A.dtype == dA_dZ.dtype == dtype
        assert [A.ravel().tolist(), dA_dZ.ravel().tolist()] == np.array(limits).T.tolist(), name


def test_sigmoid_saturates_to_exact_0_and_1_and_makes_no_denormals(backend):
    half = np.linspace(0.0, 800.0, 8001)
    inputs = np.concatenate([-half[:0:-1], half])
    for dtype, beyond in (("float32", 20.0), ("float64", 45.0)):
        A, slope = computed("sigmoid", inputs.astype(dtype), backend)
        assert (A[inputs < -beyond] == 0.0).all()
        assert (A[inputs > beyond] == 1.0).all()
        assert np.abs(A + A[::-1] - 1.0).max() <= np.finfo(dtype).eps  # sigmoid(-z) = 1 - sigmoid(z)
        assert (np.diff(A) >= -np.finfo(dtype).eps).all()
        for values in (A, slope):
            assert ((values == 0.0) | (values >= np.finfo(dtype).tiny)).all()


def test_softplus_keeps_the_digits_of_its_slope_where_it_is_small(backend):
    inputs = np.array([-30.0, -100.0, -600.0])
    A, slope = computed("softplus", inputs, backend)
    assert pytest.approx(np.exp(inputs), rel=1e-12) == A
    assert slope == pytest.approx(np.exp(inputs), rel=1e-12, abs=0)


def test_gelu_is_within_5e_4_of_the_exact_one():
    from math import erf, sqrt

    exact = Z * np.vectorize(lambda z: 0.5 * (1 + erf(z / sqrt(2))))(Z)
    difference = np.abs(gelu.value(Z) - exact).max()
    assert 1e-5 < difference < 5e-4


def test_an_activation_of_ones_own_trains(backend, rng):
    # softsign, z / (1 + |z|): its slope through the output is (1 - |a|)².
    def value(Z):
        return Z / (1.0 + abs(Z))

    own = Activation("softsign", value, lambda _, A: (1.0 - abs(A)) * (1.0 - abs(A)))
    net = NeuralNetwork(3, 5, 1, activation=own, loss="mean_squared_error", backend=backend, seed=0)
    X, y = rng.standard_normal((6, 3)), rng.standard_normal((6, 1))
    assert net.check_gradients(X, y).passed
    losses = net.train(X, y, 20, 0.1, progress=False)["loss"]
    assert losses[-1] < 0.7 * losses[0]
