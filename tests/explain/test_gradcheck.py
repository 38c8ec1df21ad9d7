"""A network checks its own gradients, and says where one is wrong."""

import numpy as np
import pytest

from chainrule import Activation, Loss, NeuralNetwork
from chainrule.explain.oracles import NAMES
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


def checked(activation="tanh", loss="mean_squared_error", oracles=QUICK, hidden=(5, 4), **given):
    """Return the check of a network of three layers."""
    rng = np.random.default_rng(2)
    net = NeuralNetwork(3, hidden, 2, activation=activation, loss=loss, seed=0, **given)
    name = loss if isinstance(loss, str) else "mean_squared_error"
    return net.check_gradients(samples(rng, ROWS, 3), targets(rng, name, (ROWS, 2)), oracles=oracles)


def with_slope(change):
    """Return tanh with a derivative made wrong on purpose."""
    return Activation("mine", tanh.value, lambda Z, A: change(1.0 - A * A, Z))


# -- what is right -------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_bundled_pairs_pass(activation, loss):
    report = checked(activation, loss)
    assert report.passed, report


@pytest.mark.needs("torch", "jax")
def test_a_network_passes_every_oracle():
    report = checked("gelu", "mean_squared_error", NAMES, weight_decay=0.1)
    assert report.passed, report
    assert set(report.tolerances) == set(NAMES)
    assert [parameter.name for parameter in report.parameters] == ["W1", "W2", "W3", "b1", "b2", "b3"]
    assert report.advice == ""


def test_the_complex_step_is_taken_where_every_function_is_analytic():
    smooth = ("tanh", "sigmoid", "gelu", "identity")
    taken = {name for name in ACTIVATIONS if "complex step" in checked(name).tolerances}
    assert taken == set(smooth)
    report = checked("relu")
    assert report.notes == ("complex step: left out: maximum is not analytic",)
    assert "complex step" in checked("tanh", "squared_error").tolerances
    (note,) = checked("tanh", "binary_cross_entropy").notes
    assert note == "complex step: left out: abs, maximum are not analytic"


def test_the_complex_step_is_right_to_the_last_digits():
    errors = [parameter.errors["complex step"] for parameter in checked().parameters]
    assert max(errors) < 1e-14


def test_a_function_of_ones_own_that_is_analytic_gets_the_complex_step():
    def value(Z):
        return Z / namespace(Z).sqrt(1.0 + Z * Z)

    def derivative(Z, A):
        return namespace(Z).exp(-1.5 * namespace(Z).log(1.0 + Z * Z))

    report = checked(Activation("root", value, derivative))
    assert report.passed
    assert list(report.tolerances) == QUICK


def test_at_a_kink_nothing_is_compared():
    net = NeuralNetwork(2, 8, 1, activation="relu", seed=0)  # at X = 0 with b = 0, each unit stands at 0
    report = net.check_gradients(XOR_X, XOR_Y, oracles=["differences"])
    assert report.passed
    (b1,) = [parameter for parameter in report.parameters if parameter.name == "b1"]
    assert b1.checked < 8


def test_a_flat_network_is_no_kink():
    net = NeuralNetwork(3, 5, 2, activation="tanh", loss="mean_squared_error", seed=0)
    for number, layer in enumerate(net.layers):
        net.set_layer(number, W=0.0 * layer.W)
    report = net.check_gradients(np.ones((4, 3)), np.ones((4, 2)), oracles=QUICK)
    assert report.passed
    assert sum(parameter.checked for parameter in report.parameters) == net.architecture.layout.total


def test_the_network_and_its_backend_stay_as_they_are(backend):
    net = NeuralNetwork(3, 4, 2, backend=backend, dtype="float32", seed=0)
    before = backend.to_numpy(net._theta).copy()
    report = net.check_gradients(np.ones((4, 3)), np.full((4, 2), 0.3), oracles=["differences"])
    assert report.passed
    assert (backend.to_numpy(net._theta) == before).all()


def test_an_oracle_that_is_not_there_is_left_out_with_the_reason(monkeypatch):
    from chainrule import backends

    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "torch" else name)
    report = checked(oracles=["torch", "differences"])
    assert list(report.tolerances) == ["differences"]
    assert "torch: backend 'torch' is not installed" in report.notes[0]
    assert "is not installed" in str(report)


@pytest.mark.needs("torch")
def test_a_forward_pass_that_a_library_cannot_run_is_said_so():
    only_numpy = Activation("mine", lambda Z: np.tanh(np.asarray(Z)), tanh.derivative)
    report = checked(only_numpy, oracles=["differences", "torch"])
    assert list(report.tolerances) == ["differences"]
    assert "does not run there" in report.notes[0]


def test_an_unknown_oracle_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="unknown oracle 'diferences'; did you mean 'differences'"):
        checked(oracles=["diferences"])


# -- what is wrong -------------------------------------------------------------------------------

MISTAKES = {
    "1 per cent": (lambda slope, _: 1.01 * slope, 1.01),
    "a sign": (lambda slope, _: -slope, -1.0),
    "a factor n": (lambda slope, Z: Z.shape[-2] * slope, float(ROWS)),
}


@pytest.mark.parametrize("oracle", EACH)
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_activation_is_caught_by_each_oracle_and_its_layer_named(mistake, oracle):
    change, factor = MISTAKES[mistake]
    report = checked([with_slope(change), "tanh"], oracles=[oracle])  # in the first layer alone
    assert report.wrong == ("W1", "b1")
    assert report.advice == (
        f"look at the derivative of layer 1's activation; it is {factor:g} times what it should be"
    )
    assert str(report).count("  wrong\n") == 2
    assert str(report).count("  ok\n") == 4


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_activation_in_the_middle_is_named_with_what_lies_below(mistake):
    change, factor = MISTAKES[mistake]
    report = checked(["tanh", with_slope(change)])
    assert report.wrong == ("W1", "W2", "b1", "b2")
    assert report.advice.startswith("look at the derivative of layer 2's activation; ")
    assert f"it is {factor:g} times" in report.advice


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_loss_is_caught_and_the_last_layer_named(mistake):
    change, factor = MISTAKES[mistake]
    loss = Loss("mine", lambda A, Y: 0.5 * (A - Y) * (A - Y), lambda A, Y: change(A - Y, A))
    report = checked(loss=loss)
    assert set(report.wrong) == {"W1", "W2", "W3", "b1", "b2", "b3"}
    assert "layer 3's activation, or at the slope of the loss" in report.advice
    assert f"it is {factor:g} times" in report.advice


def test_a_factor_n_left_out_of_the_slope_alone_is_caught():
    loss = Loss(
        "mine",
        error=lambda A, Y: 0.5 * (A - Y) * (A - Y) / A.shape[-2],
        slope=lambda A, Y: A - Y,
        divisor=lambda *_: 1.0,
    )
    report = checked(loss=loss)
    assert not report.passed
    assert f"it is {ROWS} times what it should be" in report.advice


def test_a_derivative_that_is_nan_does_not_pass():
    report = checked([with_slope(lambda slope, _: slope * float("nan")), "tanh"])
    assert report.wrong == ("W1", "b1")


@pytest.mark.needs("torch", "jax")
def test_the_table_fits_80_columns():
    text = str(checked([with_slope(lambda slope, _: -slope), "tanh"], oracles=NAMES))
    assert max(map(len, text.splitlines())) <= 80
    head, *_ = text.splitlines()
    assert head.split() == [
        "parameter",
        "shape",
        "entries",
        "differences",
        "complex",
        "step",
        "torch",
        "jax",
    ]
