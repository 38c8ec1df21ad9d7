"""A network checks its own gradients, and says where one is wrong."""

import numpy as np
import pytest

from chainrule import Activation, Loss, NeuralNetwork
from chainrule.explain.oracles import NAMES, smooth_differences
from chainrule.mathematics.activations import ACTIVATIONS, tanh
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.losses import LOSSES
from support.data import XOR_X, XOR_Y, samples, targets

QUICK = ["differences", "complex step"]
ROWS = 6
LIBRARIES = ("torch", "jax")  # of oracles
EACH = [
    pytest.param(name, marks=[pytest.mark.needs(name)] if name in LIBRARIES else []) for name in NAMES
]


def checked(activation="tanh", loss="mean_squared_error", oracles=QUICK, **given):
    """Return the check of a network of three layers."""
    rng = np.random.default_rng(2)
    net = NeuralNetwork(3, (5, 4), 2, activation=activation, loss=loss, seed=0, **given)
    name = loss if isinstance(loss, str) else "mean_squared_error"
    return net.check_gradients(samples(rng, ROWS, 3), targets(rng, name, (ROWS, 2)), oracles=oracles)


def with_slope(change):
    """Return tanh with a derivative made wrong on purpose."""
    return Activation("mine", tanh.value, lambda Z, A: change(1.0 - A * A, Z))


# -- derivatives of a user's own, on scaled and unscaled data ------------------------------------


def logistic(Z):
    return 0.5 * namespace(Z).tanh(0.5 * Z) + 0.5


def root(Z):
    return namespace(Z).sqrt(1.0 + Z * Z)


def positive(Z):
    return namespace(Z).astype(Z > 0, Z.dtype)


OWN = {
    "root": (lambda Z: Z / root(Z), lambda Z, _: 1 / ((1 + Z * Z) * root(Z))),
    "softsign": (lambda Z: Z / (1 + abs(Z)), lambda Z, _: 1 / ((1 + abs(Z)) * (1 + abs(Z)))),
    "swish": (
        lambda Z: Z * logistic(Z),
        lambda Z, _: logistic(Z) + Z * logistic(Z) * (1 - logistic(Z)),
    ),
    "bent": (lambda Z: 0.5 * root(Z) + Z, lambda Z, _: 0.5 * Z / root(Z) + 1),
    "squareplus": (lambda Z: 0.5 * (Z + root(Z)), lambda Z, _: 0.5 + 0.5 * Z / root(Z)),
    "leaky": (lambda Z: namespace(Z).maximum(Z, 0.1 * Z), lambda Z, _: 0.1 + 0.9 * positive(Z)),
    "cube": (lambda Z: Z * Z * Z, lambda Z, _: 3 * Z * Z),
    "shrink": (lambda Z: Z - namespace(Z).tanh(Z), lambda Z, A: (Z - A) * (Z - A)),
    "logarithm": (lambda Z: namespace(Z).log1p(Z * Z), lambda Z, _: 2 * Z / (1 + Z * Z)),
    "tanh": (lambda Z: namespace(Z).tanh(Z) + 0.1 * Z, lambda Z, A: 1.1 - (A - 0.1 * Z) * (A - 0.1 * Z)),
}
MISTAKES = {
    "1 per cent": (lambda slope, _: 1.01 * slope, 1.01),
    "a sign": (lambda slope, _: -slope, -1.0),
    "a factor n": (lambda slope, Z: Z.shape[-2] * slope, float(ROWS)),
    "a term": (lambda slope, _: slope + 0.5, None),
}


def tables():
    """Three columns of wine as they come, from 0.5 to 1700; scaled; and that a thousand times."""
    from sklearn.datasets import load_wine

    X, y = load_wine(return_X_y=True)
    X = X[:, [4, 10, 12]]
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    return {
        "scaled": (scaled[::12], y[::12]),
        "wine": (X[::12], y[::12]),
        "1000": (1000 * scaled[::12], y[::12]),
    }


def verdict(functions, table, loss):
    activation = Activation("own", *functions)
    net = NeuralNetwork(3, 3, 3, activation=activation, loss=loss, initializer="glorot_uniform", seed=0)
    X, y = table
    y = y if loss == "cross_entropy" else np.eye(3)[y]
    return net.check_gradients(X, y, oracles=QUICK).passed


LOSS = dict(zip(OWN, ["cross_entropy", "mean_squared_error"] * 5, strict=True))
SCALE = dict(zip(MISTAKES, ["scaled", "wine", "1000", "scaled"], strict=True))


@pytest.mark.needs("sklearn")
def test_thirty_right_derivatives_pass_on_scaled_and_unscaled_data():
    alarms = {
        (name, scale)
        for name, functions in OWN.items()
        for scale, table in tables().items()
        if not verdict(functions, table, LOSS[name])
    }
    assert alarms == set()


@pytest.mark.needs("sklearn")
def test_forty_wrong_derivatives_are_caught_on_scaled_and_unscaled_data():
    def wrong(value, derivative, change):
        return value, lambda Z, A: change(derivative(Z, A), Z)

    missed = {
        (name, mistake)
        for name, functions in OWN.items()
        for mistake, (change, _) in MISTAKES.items()
        if verdict(wrong(*functions, change), tables()[SCALE[mistake]], LOSS[name])
    }
    assert missed == set()


def test_differences_shorten_their_step_where_features_are_large_and_leave_kinks_out():
    def bent(theta):
        return np.tanh(1e5 * theta[0]) + 100 * np.abs(theta[1]) + theta[2] ** 2

    slopes = smooth_differences(bent, np.array([1e-6, 0.0, 3.0]), np.arange(3))
    assert slopes[0] == pytest.approx(1e5 / np.cosh(0.1) ** 2, rel=1e-6)
    assert np.isnan(slopes[1])
    assert slopes[2] == pytest.approx(6.0, abs=1e-4)  # 1e-9 of the largest
    # At a jump of the second derivative a step of h is wrong by h / 2.
    (slope, _) = smooth_differences(lambda t: np.maximum(t[0], 0) ** 2 + t[1], np.zeros(2), np.arange(2))
    assert abs(slope) < 1e-6


# -- what is compared, and with what -------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_bundled_pairs_pass(activation, loss):
    report = checked(activation, loss)
    assert report.passed, report


@pytest.mark.needs("torch", "jax")
def test_a_network_passes_every_oracle_in_a_table_of_80_columns():
    report = checked("gelu", "mean_squared_error", NAMES, weight_decay=0.1)
    assert report.passed, report
    assert set(report.tolerances) == set(NAMES)
    assert [parameter.name for parameter in report.parameters] == ["W1", "W2", "W3", "b1", "b2", "b3"]
    assert report.advice == ""
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 80
    heads = "parameter shape entries differences complex step torch jax"
    assert lines[0].split() == heads.split()


def test_the_complex_step_is_taken_where_every_function_is_analytic_and_right_to_the_last_digits():
    taken = {name for name in ACTIVATIONS if "complex step" in checked(name).tolerances}
    assert taken == {"tanh", "sigmoid", "gelu", "identity"}
    assert checked("relu").notes == ("complex step: left out: maximum is not analytic",)
    (note,) = checked("tanh", "binary_cross_entropy").notes
    assert note == "complex step: left out: abs, maximum are not analytic"
    for report in (checked(), checked(Activation("root", *OWN["root"]))):
        assert max(parameter.errors["complex step"] for parameter in report.parameters) < 1e-14


def test_at_a_kink_nothing_is_compared_but_a_flat_network_is_none():
    net = NeuralNetwork(2, 8, 1, activation="relu", seed=0)  # at X = 0 with b = 0, each unit stands at 0
    report = net.check_gradients(XOR_X, XOR_Y, oracles=["differences"])
    assert report.passed  # by W1, which holds the same derivative
    (b1,) = [parameter for parameter in report.parameters if parameter.name == "b1"]
    assert (b1.checked, b1.verdict) == (0, "skipped")
    net = NeuralNetwork(3, 5, 2, activation="tanh", loss="mean_squared_error", seed=0)
    for number, layer in enumerate(net.layers):
        net.set_layer(number, W=0.0 * layer.W)
    report = net.check_gradients(np.ones((4, 3)), np.ones((4, 2)), oracles=QUICK)
    assert report.passed
    assert sum(parameter.checked for parameter in report.parameters) == net.architecture.layout.total


def test_where_nothing_was_compared_the_check_does_not_pass():
    grows = Activation("exp", lambda Z: namespace(Z).exp(Z), lambda _, A: A)
    net = NeuralNetwork(3, 4, 2, activation=grows, loss="mean_squared_error", seed=0)
    X, Y = samples(np.random.default_rng(0), ROWS, 3), np.ones((ROWS, 2))
    assert net.check_gradients(X, Y, oracles=QUICK).passed
    for report in (
        net.check_gradients(1e4 * X, Y, oracles=QUICK),  # exp overflows
        net.check_gradients(X, Y, oracles=[]),
    ):
        assert not report.passed
        assert report.wrong == ()
        assert "nothing was compared in layer 1, 2" in str(report)


def test_the_network_and_its_backend_stay_as_they_are(backend):
    net = NeuralNetwork(3, 4, 2, backend=backend, dtype="float32", seed=0)
    before = backend.to_numpy(net._theta).copy()
    report = net.check_gradients(np.ones((4, 3)), np.full((4, 2), 0.3), oracles=["differences"])
    assert report.passed
    assert (backend.to_numpy(net._theta) == before).all()


def test_an_oracle_that_is_not_installed_is_left_out_with_the_reason(monkeypatch):
    from chainrule import backends

    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "torch" else name)
    report = checked(oracles=["torch", "differences"])
    with pytest.raises(ValueError, match="unknown oracle 'diferences'; did you mean 'differences'"):
        checked(oracles=["diferences"])
    assert list(report.tolerances) == ["differences"]
    assert "torch: left out: backend 'torch' is not installed" in str(report)


@pytest.mark.needs("torch")
def test_a_forward_pass_that_a_library_cannot_run_is_left_out_with_the_reason():
    only_numpy = Activation("mine", lambda Z: np.tanh(np.asarray(Z)), tanh.derivative)
    report = checked(only_numpy, oracles=["differences", "torch"])
    assert list(report.tolerances) == ["differences"]
    assert "does not run there" in report.notes[0]


# -- where it looks for a mistake ----------------------------------------------------------------


@pytest.mark.parametrize("oracle", EACH)
@pytest.mark.parametrize("mistake", list(MISTAKES)[:3])
def test_a_wrong_activation_is_caught_by_each_oracle_and_its_layer_named(mistake, oracle):
    change, factor = MISTAKES[mistake]
    report = checked([with_slope(change), "tanh"], oracles=[oracle])  # in the first layer alone
    assert report.wrong == ("W1", "b1")
    assert report.advice == (
        f"look at the derivative of layer 1's activation; it is {factor:g} times what it should be"
    )
    assert str(report).count("  wrong\n") == 2
    assert str(report).count("  ok\n") == 4


def test_a_wrong_activation_in_the_middle_and_a_nan_are_named_with_what_lies_below():
    report = checked(["tanh", with_slope(lambda slope, _: -slope)])
    assert report.wrong == ("W1", "W2", "b1", "b2")
    assert report.advice.startswith("look at the derivative of layer 2's activation; it is -1 times")
    report = checked([with_slope(lambda slope, _: slope * float("nan")), "tanh"])
    assert report.wrong == ("W1", "b1")
    assert set(report.parameters[0].errors.values()) == {np.inf}


def test_a_wrong_loss_is_caught_and_the_last_layer_named():
    def half_square(A, Y):
        return 0.5 * (A - Y) * (A - Y)

    over_n = {"error": lambda A, Y: half_square(A, Y) / A.shape[-2], "divisor": lambda *_: 1.0}
    for loss, factor in (
        (Loss("mine", half_square, lambda A, Y: 1.01 * (A - Y)), 1.01),
        (Loss("mine", slope=lambda A, Y: A - Y, **over_n), ROWS),  # its slope lacks the 1/n
    ):
        report = checked(loss=loss)
        assert set(report.wrong) == {"W1", "W2", "W3", "b1", "b2", "b3"}
        assert "layer 3's activation, or at the slope of the loss" in report.advice
        assert f"it is {factor:g} times" in report.advice
