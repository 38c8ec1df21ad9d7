"""Activations: their values against other forms of the same functions, and at the extremes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import Activation, NeuralNetwork
from chainrule.mathematics.activations import ACTIVATIONS, activation, gelu, sigmoid, softplus
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

every = pytest.mark.parametrize("name", ACTIVATIONS)


def computed(name, Z, backend):
    f = ACTIVATIONS[name]
    Z = backend.asarray(Z)
    A = f.value(Z)
    return backend.to_numpy(A), backend.to_numpy(f.derivative(Z, A))


@every
def test_value_and_slope_are_those_of_the_plain_form(name, backend):
    A, dA_dZ = computed(name, Z, backend)
    assert relative_error(A, PLAIN[name](Z)) < 1e-15
    assert relative_error(dA_dZ, SLOPES[name](Z)) < (1e-9 if name == "gelu" else 1e-14)


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_inputs_give_the_limits_and_no_warning(name, backend, dtype):
    A, dA_dZ = computed(name, np.array([[-1e4, 1e4]], dtype), backend)
    assert A.dtype == dA_dZ.dtype == dtype
    wanted = np.array(LIMITS[name]).T.tolist()
    assert [A.ravel().tolist(), dA_dZ.ravel().tolist()] == wanted


def test_sigmoid_saturates_to_exact_0_and_1_and_makes_no_denormals(backend):
    inputs = np.linspace(-800.0, 800.0, 16001)
    for dtype, beyond in (("float32", 20.0), ("float64", 45.0)):
        A, slope = computed("sigmoid", inputs.astype(dtype), backend)
        assert (A[inputs < -beyond] == 0.0).all()
        assert (A[inputs > beyond] == 1.0).all()
        for values in (A, slope):
            assert ((values == 0.0) | (values >= np.finfo(dtype).tiny)).all()


def test_relu_takes_the_slope_0_at_0(backend):
    assert computed("relu", np.array([-1.0, 0.0, 1.0]), backend)[1].tolist() == [0.0, 0.0, 1.0]


def test_softplus_keeps_the_digits_of_its_slope_where_it_is_small(backend):
    inputs = np.array([-30.0, -100.0, -600.0])
    A, slope = computed("softplus", inputs, backend)
    assert pytest.approx(np.exp(inputs), rel=1e-12) == A
    assert slope == pytest.approx(np.exp(inputs), rel=1e-12, abs=0)


@given(st.floats(-1e4, 1e4))
def test_sigmoid_of_minus_z_is_one_minus_sigmoid_of_z(z):
    a, b = (sigmoid.value(np.asarray([v])) for v in (z, -z))
    assert abs(a + b - 1.0) <= 2e-16


@given(st.floats(-1e4, 1e4), st.floats(0.0, 1e4))
def test_activations_but_gelu_never_fall(z, rise):
    for f in ACTIVATIONS.values():
        if f is not gelu:
            low, high = f.value(np.asarray([z])), f.value(np.asarray([z + rise]))
            assert low <= high + 1e-15 * abs(high)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "gelu", "softplus"])
def test_values_are_torchs(name):
    import torch
    from torch.nn import functional

    theirs = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        "gelu": lambda z: functional.gelu(z, approximate="tanh"),
        "softplus": functional.softplus,
    }[name]
    wide = np.linspace(-19.0, 19.0, 381)  # torch's softplus is the identity beyond 20
    wanted = theirs(torch.from_numpy(wide)).numpy()
    assert relative_error(ACTIVATIONS[name].value(wide), wanted) < 1e-15


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


def test_a_name_finds_its_activation_and_an_activation_stays():
    assert [activation(name).name for name in ACTIVATIONS] == list(ACTIVATIONS)
    assert activation(softplus) is softplus
