"""What keeps a network from learning is named, and a healthy network gets no flag."""

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork
from chainrule.data import digits
from chainrule.data.scaling import Scaler
from chainrule.mathematics.arrays import namespace
from support.data import XOR_X, XOR_Y

PIXELS, DIGITS = digits()
X, Y = PIXELS[:300] / 16, DIGITS[:300]
ONE_HOT = np.eye(10)[Y]
ROWS = np.random.default_rng(4).standard_normal((60, 3))


def for_digits(**given):
    given = {"activation": "relu", "loss": "cross_entropy", "seed": 0} | given
    return NeuralNetwork(64, (32, 16), 10, **given)


def for_xor(**given):
    return NeuralNetwork(2, 4, 1, seed=1, **given)


def curve(n_in=1, hidden=8, n_out=1, **given):
    given = {"activation": "tanh", "loss": "mean_squared_error", "seed": 0} | given
    return NeuralNetwork(n_in, hidden, n_out, **given)


def scaled(net, factor):
    for number, layer in enumerate(net.layers):
        net.set_layer(number, W=factor * layer.W)
    return net


def constant(weight):
    return lambda _, *shape: np.full(shape, weight)


def dead(activation):
    net = for_digits(activation=activation)
    net.set_layer(1, b=np.full((1, 16), -60.0))
    return net


def deep(**given):
    return NeuralNetwork(64, (64,) * 8, 10, loss="cross_entropy", seed=0, **given)


ONE = X * np.where(np.arange(64) == 20, 1e4, 1.0)  # column 20 alone
MIXED = ONE_HOT.T.reshape(300, 10)
SHARE, SIGN, SINE = np.abs(np.sin(ROWS[:, :1])), np.sign(ROWS[:, :1]), np.sin(ROWS[:, :2])
TWINS = np.where(np.arange(60)[:, None] < 32, ROWS[0], ROWS)
CASES = {"xor": (for_xor, (XOR_X, XOR_Y)), "digits": (for_digits, (X, Y))}

# -- the ways in which a network does not learn --------------------------------------------------

FAULTS = [  # network, X, y, kind, where, what is measured, the remedy
    (scaled(for_xor(activation="tanh"), 100), XOR_X, XOR_Y, "saturated units", "layer 1",
     "of dA/dZ1 is below", "smaller weights"),
    (scaled(for_digits(activation="tanh"), 100), X, Y, "saturated units", "layer 1",
     "of dA/dZ1 is below", "smaller weights"),
    *((dead(activation), X, Y, "dead units", "layer 2", "for 16 of 16 units", "redraw W2")
      for activation in ("relu", "gelu", "softplus")),
    *((for_digits(activation=activation, initializer=constant(weight)), X, Y, "symmetric weights",
       f"layer {layer}", f"of {units} units have {same} and the same gradient", "draw random weights")
      for activation, weight, same in
      (("sigmoid", 0, "weights of 0"), ("relu", 0.5, "the same weights"), ("relu", 0, "weights of 0"))
      for layer, units in ((1, 32), (2, 16))),
    (deep(initializer="glorot_uniform", activation="sigmoid"), X, Y, "vanishing gradient", "layer 1",
     ", 1)", "relu"),
    (deep(initializer="standard_normal", activation="relu"), X, Y, "exploding gradient", "layer 1",
     ", 1)", "clip_norm"),
    (for_digits(), 255 * X, Y, "unscaled features", "X", "has size", "Scaler.fit(X).apply(X)"),
    (for_digits(), ONE, Y, "unscaled features", "X", "column 20 has size", "Scaler.fit(X).apply(X)"),
    (curve(3, 16, 2), TWINS, SINE, "contradicting targets", "y against X",
     "32 of 60 rows have the same features as another row with another target, such as rows 0 and 1",
     "shuffled"),
    (for_digits(loss="mean_squared_error"), X, MIXED, "targets misaligned", "y", "y.reshape(10, 300).T",
     "y.T"),
    *((curve(3, output_activation=output), ROWS, y, "targets out of reach", "y",
       f"y is {y.min():.4g} to {y.max():.4g}, but the output activation {output} gives", remedy)
      for output, y, remedy in
      (("sigmoid", 20 + 3 * SHARE, "output_activation='identity'"),
       ("sigmoid", SIGN, "as 0 and 1 with loss='binary_cross_entropy'"),
       ("sigmoid", np.round(2 * SHARE), "or for classes loss='cross_entropy'"),
       ("tanh", 10 * SHARE, "output_activation='identity'"),
       ("relu", ROWS[:, :1], "output_activation='identity'"))),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{fault[3]} {n}" for n, fault in enumerate(FAULTS)])
def test_a_fault_is_named_with_its_place_a_figure_and_the_remedy(fault):
    net, features, y, kind, where, what, remedy = fault
    flags = net.explain(features, y, 0.01).flags
    (flag,) = (flag for flag in flags if (flag.kind, flag.where) == (kind, where))
    assert what in flag.what
    assert remedy in flag.remedy
    if kind in {"targets out of reach", "unscaled features", "vanishing gradient", "exploding gradient"}:
        assert flag is flags[0]  # the root cause comes first
        if kind == "unscaled features":
            assert net.explain(Scaler.fit(features).apply(features), y).flags == ()


def test_what_looks_like_a_fault_and_is_none_gets_no_flag():
    net = for_digits(activation="sigmoid")
    net.set_layer(1, W=np.full((32, 16), 0.1))  # the next weights differ, and so do the gradients
    assert "symmetric weights" not in {flag.kind for flag in net.explain(X, Y).flags}
    few_twins = np.where(np.arange(60)[:, None] < 5, ROWS[0], ROWS)
    assert curve(3, 16, 2).explain(few_twins, SINE).flags == ()
    reached = [("sigmoid", SHARE), ("sigmoid", SIGN > 0), ("tanh", SIGN), ("softplus", SHARE)]
    for output, y in reached:
        assert curve(3, output_activation=output).explain(ROWS, y).flags == ()
    with pytest.raises(ValueError, match=r"rows of y do not sum to 1; was it transposed by reshape"):
        for_digits().explain(X, MIXED)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("case", CASES)
def test_a_learning_rate_too_large_or_small_is_named_with_one_that_is_not(case, optimizer):
    network, data = CASES[case]
    net = network(activation="relu")
    for rate, kind in ((1000, "learning rate too large"), (1e-9, "learning rate too small")):
        (flag,) = net.explain(*data, rate, optimizer=optimizer).flags
        assert (flag.kind, flag.where) == (kind, f"learning_rate={rate:g}")
        advised = float(flag.remedy.removeprefix("take about ").partition(",")[0])
        assert net.explain(*data, advised, optimizer=optimizer).flags == ()


def test_a_learning_rate_is_judged_by_what_it_changes():
    step = for_digits(activation="softplus").explain(X[:1], Y[:1], 1000, optimizer="adam")
    assert step.loss_after < 1e-6 < step.loss_before  # it hits a single row by luck
    assert "learning rate too large" in {flag.kind for flag in step.flags}
    for rate in (0.0, 1e-300):
        (flag,) = for_digits().explain(X, Y, rate).flags
        assert flag.kind == "learning rate too small"
        assert "take about 0.0" in flag.remedy


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_what_is_not_finite_is_named_by_row_and_column(value):
    net = curve(3, 16, 2)
    wild, off = ROWS.copy(), SINE.copy()
    wild[7, 2] = wild[9, 1] = off[11, 1] = value
    cases = [((wild, SINE), "X", "row 7, column 2 (from 0); 2 entries in 2 rows are not finite")]
    cases.append(((ROWS, off), "y", "row 11, column 1"))
    net._theta[3 * 16] = value  # the first entry of W2
    cases.append(((ROWS, SINE), "W2", "row 0, column 0"))
    for data, where, what in cases:
        flag = next(flag for flag in net.explain(*data).flags if flag.where == where)
        assert flag.kind == "NaN or infinity"
        assert what in flag.what


def test_the_operation_that_first_made_nan_is_named_with_its_line():
    def bad_log(Z):
        return namespace(Z).log(Z)

    net = for_xor(activation=Activation("log", bad_log, lambda Z, _: 1.0 / Z))
    (flag,) = net.explain(XOR_X, XOR_Y).flags
    assert flag.kind == "NaN or infinity"
    assert flag.where == f"test_diagnosis.py:{bad_log.__code__.co_firstlineno + 1}"
    assert "log(Z1)" in flag.what


def test_an_infinity_that_comes_to_nothing_is_no_fault():
    def logistic(Z):  # exp overflows, and 1 / inf is the 0 that is wanted
        return 1.0 / (1.0 + namespace(Z).exp(-Z))

    net = for_xor(activation=Activation("logistic", logistic, lambda _, A: A * (1.0 - A)))
    net.set_layer(0, b=[[-1000.0, 0.0, 0.0, 0.0]])
    assert "NaN or infinity" not in {flag.kind for flag in net.explain(XOR_X, XOR_Y).flags}


# -- a healthy network ---------------------------------------------------------------------------


def is_healthy(net, X, y, rate, **given):
    step = net.explain(X, y, rate, **given)
    return (step.flags, step.undecided) == ((), ())


def test_xor_gets_no_flag():
    for net in (NeuralNetwork(2, 4, 1, seed=seed) for seed in (1, 2)):
        for epochs in (0, 200, 2800):
            if epochs:
                net.train(XOR_X, XOR_Y, epochs, 0.5, progress=False)
            assert is_healthy(net, XOR_X, XOR_Y, 0.5)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", "sigmoid", "softplus"])
def test_digits_get_no_flag(activation):
    net = for_digits(activation=activation, dropout=0.1)
    for epochs, rows, rate, optimizer in (
        (0, 64, 0.1, "sgd"),
        (1, 300, 0.1, "sgd"),
        (15, 300, 1e-3, "adam"),
    ):
        if epochs:
            net.train(X, Y, epochs, 1e-3, optimizer="adam", batch_size=32, progress=False)
        assert is_healthy(net, X[:rows], Y[:rows], rate, optimizer=optimizer)


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
def test_a_batch_of_few_rows_gets_no_flag(rows, activation, loss, epochs):
    given, targets = {}, Y
    if loss == "mean_squared_error":
        given, targets = {"output_activation": "sigmoid", "initializer": "glorot_uniform"}, ONE_HOT
    net = for_digits(activation=activation, loss=loss, **given)
    if epochs:
        net.train(X, targets, epochs, 1e-2, optimizer="adam", batch_size=32, progress=False)
    for start in range(0, 80, 20):
        some = slice(start, start + rows)
        assert net.explain(X[some], targets[some], 0.01).flags == ()


def test_what_few_rows_cannot_tell_is_said():
    step = for_digits().explain(X[:1], Y[:1])
    assert "whether units of layer 1 are dead (1 row is too few to tell)" in step.undecided
    net = scaled(NeuralNetwork(1, 8, 1, activation="tanh", seed=0), 100)
    step = net.explain([[1.0]], [[0.3]])
    assert "whether layer 1 is flat too soon (y is the same in every row)" in step.undecided
    assert step.flags == ()


@pytest.mark.parametrize("hidden", [8, (16, 16), (16, 16, 16)])
def test_a_curve_gets_no_flag_not_even_where_it_overshoots_near_its_goal(hidden):
    line = np.linspace(-2, 2, 100)[:, None]
    net = curve(hidden=hidden)
    assert net.explain(line, np.sin(line)).flags == ()
    net.train(line, np.sin(line), 300, 0.01, optimizer="adam", batch_size=20, progress=False)
    assert net.explain(line, np.sin(line)).flags == ()
    step = net.explain(line, np.sin(line), 0.01, optimizer="adam")  # a new optimizer: a long first step
    assert step.loss_after > 2 * step.loss_before
    assert step.flags == ()


def test_the_bundled_commands_network_gets_no_flag():
    given = {"initializer": "glorot_uniform", "dropout": 0.2, "weight_decay": 0.001, "dtype": "float32"}
    net = NeuralNetwork(64, 128, 10, activation="relu", loss="cross_entropy", seed=0, **given)
    scaled_pixels = Scaler.fit(PIXELS).apply(PIXELS)
    assert net.explain(scaled_pixels, DIGITS, 0.01, optimizer="adam").flags == ()
