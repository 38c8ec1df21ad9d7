"""What keeps a network from learning is named, and a healthy network is left in peace."""

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork
from chainrule.data import digits
from chainrule.data.scaling import Scaler
from chainrule.mathematics.arrays import namespace
from support.data import XOR_X, XOR_Y

PIXELS, DIGITS = digits()
X, Y = PIXELS[:600] / 16, DIGITS[:600]
ONE_HOT = np.eye(10)[Y]
LINE = np.linspace(-2, 2, 100)[:, None]
ROWS = np.random.default_rng(4).standard_normal((60, 3))


def for_digits(**given):
    given = {"activation": "relu", "loss": "cross_entropy", "seed": 0} | given
    return NeuralNetwork(64, (32, 16), 10, **given)


def for_xor(**given):
    return NeuralNetwork(2, 4, 1, seed=1, **given)


CASES = {
    "xor": lambda _activation: (for_xor(), (XOR_X, XOR_Y)),
    "digits": lambda activation: (for_digits(activation=activation), (X, Y)),
}


def changed(net, change):
    """Return the network with other weights in each layer: ``change(W)``."""
    for number, layer in enumerate(net.layers):
        net.set_layer(number, W=change(layer.W))
    return net


def kinds(explanation):
    return {flag.kind for flag in explanation.flags}


# -- the ways in which a network does not learn --------------------------------------------------


@pytest.mark.parametrize("case", ["xor", "digits"])
def test_a_saturated_start_is_named_by_layer(case):
    net, data = CASES[case]("tanh")
    flags = changed(net, lambda W: 100 * W).explain(*data).flags
    first = next(flag for flag in flags if flag.kind == "saturated units")
    assert first.where == "layer 1"
    assert "of dA/dZ1 is below" in first.what
    assert "smaller weights" in first.remedy


@pytest.mark.parametrize("activation", ["relu", "gelu", "softplus"])
def test_dead_units_are_named_by_layer(activation):
    net = for_digits(activation=activation)
    net.set_layer(1, b=np.full((1, 16), -60.0))
    (flag,) = [flag for flag in net.explain(X, Y).flags if flag.kind == "dead units"]
    assert flag.where == "layer 2"
    assert "for 16 of 16 units" in flag.what


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("case", ["xor", "digits"])
def test_a_learning_rate_too_large_or_small_is_named_with_one_that_is_not(case, optimizer):
    net, data = CASES[case]("relu")
    for rate, kind in ((1000, "learning rate too large"), (1e-9, "learning rate too small")):
        (flag,) = net.explain(*data, rate, optimizer=optimizer).flags
        assert (flag.kind, flag.where) == (kind, f"learning_rate={rate:g}")
        advised = float(flag.remedy.split()[1])
        assert net.explain(*data, advised, optimizer=optimizer).flags == ()


def test_a_learning_rate_is_judged_by_what_it_changes():
    step = for_digits(activation="softplus").explain(X[:1], Y[:1], 1000, optimizer="adam")
    assert step.loss_after < 1e-6 < step.loss_before  # it hits a single row by luck
    assert "learning rate too large" in kinds(step)
    for rate in (0.0, 1e-300):
        (flag,) = for_digits().explain(X, Y, rate).flags
        assert flag.kind == "learning rate too small"
        assert "take 0.0" in flag.remedy


def test_unscaled_features_are_named_with_the_column():
    one = X.copy()
    one[:, 20] *= 1e4
    for wild, what in ((255 * X, "is of size"), (one, "column 20 is of size")):
        flag = for_digits().explain(wild, Y).flags[0]
        assert flag.kind == "unscaled features"
        assert what in flag.what
        assert "Scaler.fit(X).apply(X)" in flag.remedy
        assert for_digits().explain(Scaler.fit(wild).apply(wild), Y).flags == ()


@pytest.mark.parametrize(("activation", "weight"), [("sigmoid", 0.0), ("relu", 0.5), ("relu", 0.0)])
def test_equal_weights_are_named_as_symmetric(activation, weight):
    def equal(_, n_in, n_out):
        return np.full((n_in, n_out), weight)

    flags = for_digits(activation=activation, initializer=equal).explain(X, Y).flags
    symmetric = [flag for flag in flags if flag.kind == "symmetric weights"]
    assert [flag.where for flag in symmetric] == ["layer 1", "layer 2"]
    assert "32 of 32 units are alike" in symmetric[0].what
    assert ("every weight is 0" in symmetric[0].what) == (weight == 0)


def test_units_that_start_alike_but_lead_to_different_outputs_are_not_stuck():
    net = for_digits(activation="sigmoid")
    net.set_layer(1, W=np.full((32, 16), 0.1))  # their next weights differ, and so do their gradients
    assert "symmetric weights" not in kinds(net.explain(X, Y))


SHARE, SIGN = np.abs(np.sin(ROWS[:, :1])), np.sign(ROWS[:, :1])


@pytest.mark.parametrize(
    ("output", "wanted", "remedy"),
    [
        ("sigmoid", 20 + 3 * SHARE, "identity"),
        ("sigmoid", SIGN, "as 0 and 1 with loss='binary_cross_entropy'"),
        ("sigmoid", np.round(2 * SHARE), "or for classes loss='cross_entropy'"),
        ("tanh", 10 * SHARE, "identity"),
        ("relu", ROWS[:, :1], "identity"),
        ("sigmoid", SHARE, None),
        ("sigmoid", SIGN > 0, None),
        ("tanh", SIGN, None),
        ("softplus", SHARE, None),
    ],
)
def test_targets_that_the_output_cannot_reach_are_named_with_the_loss_to_take(output, wanted, remedy):
    net = NeuralNetwork(3, 8, 1, output_activation=output, loss="mean_squared_error", seed=0)
    flags = net.explain(ROWS, wanted).flags
    if remedy is None:
        assert flags == ()
        return
    (flag,) = flags
    assert (flag.kind, flag.where) == ("targets out of reach", "y")
    assert f"y is {wanted.min():.4g} to {wanted.max():.4g}, but the output" in flag.what
    assert remedy in flag.remedy


def test_rows_of_the_same_features_with_other_targets_are_named():
    net, rows, wanted = regression()
    for copies, flagged in ((20, False), (len(rows) // 2 + 2, True)):  # some noise is no fault
        rows[:copies] = rows[0]
        flags = net.explain(rows, wanted).flags
        assert [flag.kind for flag in flags] == ["contradicting targets"] * flagged
    assert "127 of 250 rows" in flags[0].what
    assert "rows 0 and 1 (from 0)" in flags[0].what


def regression():
    """Return a network with two outputs, rows and targets."""
    rows = np.random.default_rng(4).standard_normal((250, 3))
    wanted = np.stack([np.sin(rows[:, 0]), rows[:, 1] * rows[:, 2]], axis=1)
    net = NeuralNetwork(3, 16, 2, activation="tanh", loss="mean_squared_error", seed=0)
    return net, rows, wanted


def test_one_hot_targets_that_a_reshape_mixed_are_named():
    mixed = ONE_HOT.T.reshape(600, 10)
    (flag,) = for_digits(loss="mean_squared_error").explain(X, mixed, 0.01).flags
    assert flag.kind == "targets misaligned"
    assert "y.reshape(10, 600).T" in flag.what
    with pytest.raises(ValueError, match=r"rows of y do not sum to 1; was it transposed by reshape"):
        for_digits().explain(X, mixed)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_what_is_not_finite_is_named_by_row_and_column(value):
    net, rows, wanted = regression()
    wild, off = rows.copy(), wanted.copy()
    wild[7, 2] = wild[9, 1] = off[11, 1] = value
    cases = [((wild, wanted), "X", "row 7, column 2 (from 0); 2 entries in 2 rows are not finite")]
    cases.append(((rows, off), "y", "row 11, column 1"))
    for data, where, what in cases:
        (flag,) = net.explain(*data).flags
        assert (flag.kind, flag.where) == ("NaN or infinity", where)
        assert what in flag.what
    net._theta[3 * 16] = value  # the first entry of W2
    (flag,) = net.explain(rows, wanted).flags
    assert (flag.where, "row 0, column 0" in flag.what) == ("W2", True)


def test_the_operation_that_first_made_nan_is_named_with_its_line():
    def bad_log(Z):
        return namespace(Z).log(Z)

    net = for_xor(activation=Activation("log", bad_log, lambda Z, _: 1.0 / Z))
    (flag,) = net.explain(XOR_X, XOR_Y).flags
    assert flag.kind == "NaN or infinity"
    line = bad_log.__code__.co_firstlineno + 1
    assert flag.where == f"test_diagnosis.py:{line}"
    assert "log(Z1)" in flag.what


def test_an_infinity_that_comes_to_nothing_is_no_fault():
    def logistic(Z):  # exp overflows, and 1 / inf is the 0 that is wanted
        return 1.0 / (1.0 + namespace(Z).exp(-Z))

    net = for_xor(activation=Activation("logistic", logistic, lambda _, A: A * (1.0 - A)))
    net.set_layer(0, b=[[-1000.0, 0.0, 0.0, 0.0]])
    assert "NaN or infinity" not in kinds(net.explain(XOR_X, XOR_Y))


@pytest.mark.parametrize(
    ("kind", "initializer", "activation"),
    [("vanishing", "glorot_uniform", "sigmoid"), ("exploding", "standard_normal", "relu")],
)
def test_a_gradient_that_vanishes_or_explodes_is_named_by_layer(kind, initializer, activation):
    given = {"initializer": initializer, "activation": activation}
    net = NeuralNetwork(64, (64,) * 8, 10, loss="cross_entropy", seed=0, **given)
    flag = net.explain(X, Y).flags[0]
    assert (flag.kind, flag.where) == (f"{kind} gradient", "layer 1")
    assert flag.what.count(", ") >= 8  # the share of each layer


# -- a healthy network ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_xor_is_left_in_peace(seed):
    net = NeuralNetwork(2, 4, 1, seed=seed)
    for epochs in (0, 200, 2800):
        if epochs:
            net.train(XOR_X, XOR_Y, epochs, 0.5, progress=False)
        step = net.explain(XOR_X, XOR_Y, 0.5)
        assert (step.flags, step.undecided) == ((), ())


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "sigmoid", "softplus"])
def test_digits_are_left_in_peace(activation):
    net = for_digits(activation=activation, dropout=0.1)
    for epochs in (0, 1, 15):
        if epochs:
            net.train(X, Y, epochs, 1e-3, optimizer="adam", batch_size=64, progress=False)
        for rows, rate, optimizer in ((64, 0.1, "sgd"), (600, 0.1, "sgd"), (600, 1e-3, "adam")):
            step = net.explain(X[:rows], Y[:rows], rate, optimizer=optimizer)
            assert (step.flags, step.undecided) == ((), ())


@pytest.mark.parametrize(
    ("rows", "activation", "loss", "epochs"),
    [  # all pairs
        (1, "relu", "cross_entropy", 0),
        (1, "sigmoid", "mean_squared_error", 20),
        (8, "relu", "mean_squared_error", 20),
        (8, "sigmoid", "cross_entropy", 20),
        (8, "sigmoid", "mean_squared_error", 0),
        (1, "relu", "mean_squared_error", 0),
    ],
)
def test_a_batch_of_few_rows_is_left_in_peace(rows, activation, loss, epochs):
    given, targets = {}, Y
    if loss == "mean_squared_error":
        given, targets = {"output_activation": "sigmoid", "initializer": "glorot_uniform"}, ONE_HOT
    net = for_digits(activation=activation, loss=loss, **given)
    if epochs:
        net.train(X, targets, epochs, 1e-2, optimizer="adam", batch_size=32, progress=False)
    for start in range(0, 80, 8):
        some = slice(start, start + rows)
        assert net.explain(X[some], targets[some], 0.01).flags == ()


def test_what_few_rows_cannot_tell_is_said():
    step = for_digits().explain(X[:1], Y[:1])
    assert "whether units of layer 1 are dead (1 row is too few to tell)" in step.undecided
    curve = changed(NeuralNetwork(1, 8, 1, activation="tanh", seed=0), lambda W: 100 * W)
    step = curve.explain([[1.0]], [[0.3]])
    assert "whether layer 1 is flat too soon (y is the same in every row)" in step.undecided
    assert step.flags == ()


@pytest.mark.parametrize("hidden", [8, (16, 16), (16, 16, 16)])
def test_a_curve_is_left_in_peace(hidden):
    net = NeuralNetwork(1, hidden, 1, activation="tanh", loss="mean_squared_error", seed=0)
    assert net.explain(LINE, np.sin(LINE)).flags == ()
    net.train(LINE, np.sin(LINE), 300, 0.1, progress=False)
    assert net.explain(LINE, np.sin(LINE)).flags == ()


def test_near_its_goal_a_network_may_overshoot():
    net = NeuralNetwork(1, (16, 16), 1, activation="tanh", loss="mean_squared_error", seed=0)
    net.train(LINE, np.sin(LINE), 300, 0.01, optimizer="adam", batch_size=20, progress=False)
    step = net.explain(LINE, np.sin(LINE), 0.01, optimizer="adam")  # a new optimizer: a long first step
    assert step.loss_after > 2 * step.loss_before
    assert step.flags == ()


def test_the_bundled_commands_network_is_left_in_peace():
    scaled = Scaler.fit(PIXELS).apply(PIXELS)
    net = NeuralNetwork(
        64, 128, 10, activation="relu", loss="cross_entropy", initializer="glorot_uniform",
        dropout=0.2, weight_decay=0.001, dtype="float32", seed=0,
    )  # fmt: skip
    assert net.explain(scaled, DIGITS, 0.01, optimizer="adam").flags == ()
