"""Bad input: one line that names what was got, what was wanted and the remedy; nothing is trained."""

import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends import BackendUnavailableError
from chainrule.backends.numpy import NumpyBackend
from support.compare import parameters

X = np.arange(12.0).reshape(4, 3) / 12.0
Y = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
LABELS = np.array([0, 1, 1, 0])
WORDS = np.array(["cat", "dog", "cat", "dog"])


def with_entry(array, place, value):
    changed = np.array(array, type(value))
    changed[place] = value
    return changed


def fails(call, error, message):
    """Assert that ``call`` raises ``error`` with one line that matches ``message``, and return that line."""
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused(net, call, error, message):
    """Assert the same, and that the network has the parameters it had."""
    before = parameters(net)
    said = fails(call, error, message)
    assert (parameters(net) == before).all()
    return said


# -- X -------------------------------------------------------------------------------------------

BAD_X = [
    (np.ones((4, 5)), ValueError, "X has 5 features but the network takes 3; was a column added or lost"),
    (X.T, ValueError, "4 features but the network takes 3; was it transposed"),
    (np.ones(7), ValueError, r"shape \(7,\) but the network takes \(n, 3\); give a row a sample"),
    (5.0, ValueError, r"shape \(\) but the network takes \(n, 3\)"),
    (np.ones((0, 3)), ValueError, "no rows; give at least one sample of 3"),
    ([], ValueError, r"shape \(0,\) but the network takes \(n, 3\)"),
    ([[1.0, 2.0, 3.0], [1.0]], ValueError, "ragged: its rows differ in length; give rows of one length"),
    (None, TypeError, "X is None, wanted an array of real numbers; give an array"),
    ("t.csv", TypeError, "X is 't.csv', wanted an array"),
    (with_entry(with_entry(X, (2, 1), np.nan), (3, 0), np.inf), ValueError,
     "NaN at row 2, column 1 .counted from 0.; fill or drop"),
    (with_entry(X, (3, 0), -np.inf), ValueError, "infinity in float64 at row 3, column 0"),
    ([[1, 2, 3], [1, None, 2]], TypeError, "X holds None at row 1, column 1 .*; fill or drop"),
    ([["1", "oak", "3"]] * 4, TypeError, "'oak' at row 0, column 1 .*; make each word a column of 0 and 1"),
    (np.ma.masked_array(X, X < 0.1), ValueError, r"X has 2 masked entries; fill them with .filled"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "error", "message"), BAD_X)
def test_bad_x_is_refused_by_every_verb_and_nothing_is_trained(bad, error, message):
    net = NeuralNetwork(3, 4, 2, seed=0)
    for verb, *others in (
        ["train", Y, 5],
        ["backward", Y],
        ["evaluate", Y],
        ["predict"],
        ["feedforward"],
    ):
        refused(net, partial(getattr(net, verb), bad, *others), error, message)
    assert (net.predict(np.ma.masked_array(X)) == net.predict(X)).all()  # a mask without any is no fault


class Sparse:
    """As SciPy's sparse matrices: no array, but it can become one."""

    def __init__(self, rows):
        self.rows = rows

    def toarray(self):
        return self.rows


RECORDS = np.array([tuple(row) for row in X], [("a", float), ("b", float), ("c", float)])


@pytest.mark.parametrize(
    ("name", "n_in", "given"),
    [
        ("X", 3, X[0]),
        ("X", 1, X[:, 0]),
        ("X", 1, list(X[:, 0])),
        ("X", 3, X.reshape(4, 3, 1)),
        ("X", 3, X.astype(complex)),
        ("X", 3, (X + 0j).tolist()),
        ("X", 3, RECORDS),
        ("X", 3, X.astype(str)),
        ("X", 3, X.astype(object)),
        ("X", 3, np.full((4, 3), "2026-01-01", "M8[D]")),
        ("X", 3, np.full((4, 3), 3, "m8[s]")),
        ("X", 3, Sparse(X)),
        ("y", 3, Sparse(LABELS)),
        ("y", 3, WORDS),
        ("y", 3, WORDS.astype(object)),
        ("y", 3, WORDS.astype(bytes).tolist()),
        ("y", 3, LABELS.astype(str)),
        ("y", 3, Y.reshape(4, 1, 2)),
        ("y", 3, Y.T),
    ],
)
def test_the_remedy_in_an_error_works_for_what_was_given(name, n_in, given):
    net = NeuralNetwork(n_in, 4, 2, loss="cross_entropy", seed=0)
    data = {"X": X[:, :n_in], "y": Y} | {name: given}
    with pytest.raises((TypeError, ValueError)) as caught:
        net.train(**data, epochs=1, progress=False)
    (remedy,) = re.findall(r"(?:give|encode it:) (.*?)(?:, or .*)?$", str(caught.value))
    data[name] = eval(remedy, {"np": np, name: given})  # noqa: S307
    net.train(data["X"], data["y"][: len(data["X"])], 1, progress=False)


# -- y and weights -------------------------------------------------------------------------------

BAD_Y = [
    ("squared_error", Y[:3], ValueError, "y has 3 rows but X has 4; give one target for each sample"),
    ("squared_error", 1.0, ValueError, "y has no rows but X has 4"),
    ("squared_error", np.ones((4, 3)), ValueError, r"\(4, 3\) .* \(4, 2\); make the network with output_size=3"),
    ("squared_error", LABELS, ValueError, r"\(4,\) .* y looks like class labels; use loss='cross_entropy'"),
    ("binary_cross_entropy", LABELS[:, None] * 1.0, ValueError, r"\(4, 1\) .* y looks like class labels"),
    ("squared_error", LABELS + 0.5, ValueError, r"\(4,\) .*; give 2 targets a row, or make the network with"),
    ("squared_error", with_entry(Y, (1, 1), np.nan), ValueError, "y holds NaN at row 1, column 1 .*fill or drop"),
    ("squared_error", Y.astype(complex), TypeError, "y is complex"),
    ("cross_entropy", [0, 1, 2, 0], ValueError, "label 2 at row 2, but the network has 2 classes: .* 0 to 1"),
    ("cross_entropy", [0, -1, 1, 0], ValueError, "label -1 at row 1"),
    ("cross_entropy", [0, 0.9999999, 1, 0], ValueError, "label 0.9999999 at row 1, .*give whole numbers"),
    ("cross_entropy", [0, 1, 2**32, 0], ValueError, "label 4294967296 at row 2"),
    ("cross_entropy", [0, 1, np.nan, 0], ValueError, "label nan at row 2"),
    ("cross_entropy", 2 * Y - 0.5, ValueError, "values outside 0 to 1; cross_entropy takes probabilities"),
    ("cross_entropy", 0.9 * Y, ValueError, "do not sum to 1; cross_entropy takes labels, or one-hot rows"),
    ("binary_cross_entropy", 2 * Y, ValueError, "outside 0 to 1; binary_cross_entropy takes probabilities"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "bad", "error", "message"), BAD_Y)
def test_bad_y_is_refused_by_every_verb_and_nothing_is_trained(loss, bad, error, message):
    # In float32, which holds neither 0.9999999 nor 2**32 + 1: labels are compared as they are given.
    net = NeuralNetwork(3, 4, 2, loss=loss, seed=0, dtype="float32")
    for verb, *others in (["train", 5], ["backward"], ["evaluate"], ["check_gradients"]):
        refused(net, partial(getattr(net, verb), X, bad, *others), error, message)


def test_probabilities_are_divided_by_their_sum_so_that_value_and_slope_agree():
    exact, near = np.array([[0.25, 0.75]] * 4), np.array([[0.25, 0.75]] * 4) * 1.0009
    net = NeuralNetwork(3, 4, 2, loss="cross_entropy", seed=0)
    assert net.evaluate(X, near).loss == pytest.approx(net.evaluate(X, exact).loss, rel=1e-15)
    assert net.check_gradients(X, near, oracles=["differences"]).passed


def test_labels_too_many_for_the_memory_left_are_refused_before_one_hot_rows_are_made(monkeypatch):
    monkeypatch.setattr(NumpyBackend, "available_bytes", lambda _self: 10**9)
    net = NeuralNetwork(3, (), 100_000, loss="cross_entropy", seed=0)
    message = "100,000 classes in 20,000 rows, which take 16.0 GB as one-hot rows; 1.0 GB are free: .*fewer rows"
    fails(lambda: net.evaluate(np.zeros((20_000, 3)), np.arange(20_000)), MemoryError, message)


@pytest.mark.needs("jax")
def test_integers_of_64_bits_are_the_same_numbers_on_jax_in_32():
    import jax

    data = {"X": np.full((4, 3), 1_700_000_000_000), "y": np.full((4, 2), 3_000_000_000),
            "sample_weight": np.full(4, 2**32)}  # fmt: skip
    losses = []
    jax.config.update("jax_enable_x64", False)
    try:
        for backend in ("numpy", "jax"):
            settings = {"loss": "mean_squared_error", "dtype": "float32", "seed": 0}
            losses.append(NeuralNetwork(3, 4, 2, backend=backend, **settings).evaluate(**data).loss)
        double = partial(NeuralNetwork, 3, 4, 2, backend="jax", dtype="float64")
        fails(double, ValueError, "JAX_ENABLE_X64=1")
    finally:
        jax.config.update("jax_enable_x64", True)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


PREDICT = """
import sys, numpy as np
from chainrule import NeuralNetwork
X = np.memmap(sys.argv[1], np.float32, "r", shape=(500_000, 50))  # 100 MB
net = NeuralNetwork(50, 4, 1, dtype="float64", seed=0)
y = np.zeros((len(X), 1), np.float32)
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
net.predict(X), net.evaluate(X, y)
print((peak() - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_mapped_file_is_converted_block_by_block(tmp_path):
    with (tmp_path / "X").open("wb") as file:
        file.truncate(100_000_000)
    command = [sys.executable, "-c", PREDICT, str(tmp_path / "X")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # The pages of the file, and two blocks; the whole takes 570 more.
    assert float(done.stdout) < 191 + 200


# -- settings ------------------------------------------------------------------------------------

BAD_TRAINING = [
    ({"epochs": 0}, ValueError, "epochs is 0; give 1 or more"),
    ({"epochs": 1.5}, TypeError, "epochs is 1.5; give a whole number"),
    ({"epochs": True}, TypeError, "epochs is True"),
    ({"batch_size": 0}, ValueError, "batch_size is 0; give 1 or more"),
    ({"batch_size": "2"}, TypeError, "batch_size is '2'; give a whole number"),
    ({"early_stopping": 0}, ValueError, "early_stopping is 0; give 1 or more"),
    ({"print_every": 0}, ValueError, "print_every is 0; give 1 or more"),
    ({"shuffle": "no"}, TypeError, "shuffle is 'no'; give True or False"),
    ({"compile": "no"}, TypeError, "compile is 'no'; give True or False"),
    ({"resume": None}, TypeError, "resume is None; give True or False"),
    ({"progress": "no"}, TypeError, "progress is 'no'; give True or False"),
    ({"learning_rate": -0.1}, ValueError, "learning_rate is -0.1; give a finite number of 0 or more"),
    ({"learning_rate": "0.1"}, TypeError, "learning_rate is '0.1'; give a finite number .*, or a schedule"),
    ({"learning_rate": True}, TypeError, "learning_rate is True"),
    ({"learning_rate": np.inf}, ValueError, "learning_rate is inf"),
    ({"learning_rate": np.ones((9, 9))}, TypeError, "learning_rate is array"),
    ({"learning_rate": lambda _epoch, _epochs: "0.1"}, TypeError, "learning_rate is '0.1'"),
    ({"learning_rate": lambda _epoch, _epochs: None}, TypeError, "learning_rate is None"),
    ({"callbacks": print}, TypeError, "callbacks is <built-in function print>; give a list of functions"),
    ({"callbacks": [3]}, TypeError, r"callbacks is \[3\]; give a list of functions"),
    ({"optimizer": "adm"}, ValueError, "unknown optimizer 'adm'; did you mean 'adam'"),
    ({"optimizer": 3}, TypeError, "optimizer must be a name .*got int"),
    ({"validation_fraction": "a"}, TypeError, "validation_fraction is 'a'; give a number above 0 and below 1"),
    ({"validation_fraction": 1.5}, ValueError, "validation_fraction is 1.5; give a number above 0"),
    ({"validation_fraction": np.nan}, ValueError, "validation_fraction is nan"),
    ({"validation_fraction": 0.01}, ValueError, "would hold out 0 of 4 rows; use another fraction or more"),
    ({"validation_data": X}, TypeError, r"validation_data: got a ndarray; give \(X, y\)"),
    ({"validation_data": (X.T, Y)}, ValueError, "validation_data: X has 4 features"),
    ({"validation_data": (X, Y[:2])}, ValueError, "validation_data: y has 2 rows"),
    ({"validation_fraction": 0.5, "validation_data": (X, Y)}, ValueError, "give one of them"),
    ({"sample_weight": np.ones(3)}, ValueError, r"sample_weight has shape \(3,\), wanted \(4,\): one a sample"),
    ({"sample_weight": [1, -1, 1, 1]}, ValueError, "sample_weight holds a negative weight; give 0"),
    ({"sample_weight": [1, np.nan, 1, 1]}, ValueError, "sample_weight holds NaN at row 1"),
    ({"sample_weight": "balanced"}, TypeError, "sample_weight is 'balanced', wanted an array"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), BAD_TRAINING)
def test_bad_training_arguments_are_refused_and_nothing_is_trained(given, error, message, capsys):
    net = NeuralNetwork(3, 4, 2, seed=0)
    refused(net, lambda: net.train(X, Y, **{"epochs": 5, **given}), error, message)
    assert capsys.readouterr() == ("", "")


BAD_NETWORKS = [
    ({"input_size": 0}, ValueError, "0, 4, 2; every size must be 1 or more"),
    ({"hidden_size": (5, -4)}, ValueError, "3, 5, -4, 2"),
    ({"hidden_size": True}, TypeError, "layer size is True; give a whole number"),
    ({"hidden_size": "5"}, TypeError, "layer size is '5'; give a whole number"),
    ({"activation": "rleu"}, ValueError, "unknown activation 'rleu'; did you mean 'relu'"),
    ({"activation": ["relu", "relu"]}, ValueError, "got 2 activations for 1 hidden layer; give one name"),
    ({"activation": abs}, TypeError, "a name or Activation, got builtin"),
    ({"output_activation": "sigmoyd"}, ValueError, "'sigmoyd'; did you mean 'sigmoid'"),
    ({"loss": "crossentropy"}, ValueError, "unknown loss 'crossentropy'; did you mean 'cross_entropy'"),
    ({"loss": "cross_entropy", "output_activation": "sigmoid"}, ValueError, "logits, got .*'sigmoid'; leave"),
    ({"loss": "cross_entropy", "output_size": 1}, ValueError, "1 output; .*binary_cross_entropy"),
    ({"initializer": "he"}, ValueError, "unknown initializer 'he'.*he_normal"),
    ({"initializer": lambda _, n_in, n_out: np.ones((n_out, n_in))}, ValueError, r"\(4, 3\), wanted \(3, 4\)"),
    ({"dropout": 1 - 1e-10}, ValueError, r"dropout is 0.9999999999; give a number from 0 to 1 - 2\^-32"),
    ({"dropout": -0.1}, ValueError, "dropout is -0.1"),
    ({"dropout": "0.1"}, TypeError, "dropout is '0.1'; give a number"),
    ({"weight_decay": np.inf}, ValueError, "weight_decay is inf; give a finite number of 0 or more"),
    ({"weight_decay": True}, TypeError, "weight_decay is True"),
    ({"clip_norm": 0.0}, ValueError, "clip_norm is 0.0; give a number above 0, or None"),
    ({"dtype": "float8"}, ValueError, "dtype is float8; give 'float32' or 'float64'"),
    ({"seed": -1}, ValueError, "seed is -1; give 0 or more"),
    ({"seed": 1.5}, TypeError, "seed is 1.5; give a whole number"),
    ({"backend": "cpuy"}, ValueError, "unknown backend 'cpuy'; did you mean 'cupy'"),
    ({"backend": "numpy:gpu"}, ValueError, "no device 'gpu'; its only one is 'cpu'"),
    ({"backend": 3}, TypeError, "backend 3 .*give a name such as 'numpy'"),
    ({"hidden_size": (60_000_000, 60_000_000)}, MemoryError, "parameters, which take .* give narrower layers"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "error", "message"), BAD_NETWORKS)
def test_bad_networks_are_refused(given, error, message):
    usual = {"input_size": 3, "hidden_size": 4, "output_size": 2}
    fails(lambda: NeuralNetwork(**(usual | given)), error, message)
    assert NeuralNetwork(3, 4, 2, dropout=1 - 2**-32).train(X, Y, 1, progress=False).records


def test_a_layer_that_does_not_exist_is_named():
    net = NeuralNetwork(3, 4, 2)
    fails(lambda: net.set_layer("0"), TypeError, "number is '0'; give a whole number")
    fails(lambda: net.set_layer(2), IndexError, "2 layers; there is no layer 2")


def test_a_bad_parameter_is_refused_and_the_old_one_stays():
    net = NeuralNetwork(3, 4, 2, seed=0)
    for bad, error, message in (
        (np.ones((4, 3)), ValueError, r"shape \(4, 3\), wanted \(3, 4\)"),
        (np.full((3, 4), np.nan), ValueError, "W holds NaN at row 0, column 0"),
        (np.ones((3, 4), complex), TypeError, "W is complex"),
    ):
        refused(net, partial(setattr, net, "weights_input_hidden", bad), error, message)


# -- backends that cannot be used, arrays on two devices --------------------------------------------


def test_a_backend_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    wanted = "'cupy' is not installed.*cuda12.*cuda13.*'numpy'"
    message = fails(lambda: NeuralNetwork(3, 4, 2, backend="cupy"), BackendUnavailableError, wanted)
    extras = re.findall(r"pip install '([^']*)'", message)
    assert all(re.fullmatch(r"\.\[\w+\]", extra) for extra in extras)


def on(library, device):
    return pytest.param(f"{library}:{device}", marks=pytest.mark.needs(library))


ABSENT = [("torch", "gpu"), ("torch", "cuda:77"), ("jax", "cpu:77"), ("jax", "tpu"), ("jax", "cpu:one")]


@pytest.mark.parametrize("name", [on(*each) for each in ABSENT])
def test_a_device_that_is_not_here_is_named(name):
    remedy = r"no device 'gpu'.*'torch:cuda'|cannot be used here.*(torch|jax):cpu"
    with pytest.raises((ValueError, BackendUnavailableError), match=remedy) as caught:
        NeuralNetwork(3, 4, 2, backend=name)
    assert "\n" not in str(caught.value)


def test_arrays_of_another_device_are_not_moved_silently():
    xp = pytest.importorskip("array_api_strict")
    here, there = xp.asarray(X), xp.asarray(X, device=xp.Device("device1"))
    y = xp.asarray(Y, device=xp.Device("device1"))
    net, of_numpy = NeuralNetwork(3, 4, 2), NeuralNetwork(3, 4, 2, backend="numpy")
    fails(lambda: net.feedforward(xp.asarray(X.astype(complex))), TypeError, "X is complex; give X.real")
    message = "y is on .*device1.*network is on .*CPU.*move one of them"
    fails(lambda: net.train(here, y, 1), TypeError, message)
    assert net.backend.describe() == backends.of(here).describe()
    fails(lambda: of_numpy.predict(here), TypeError, "X is on array_api_strict.*is on numpy")
    other = NeuralNetwork(3, 4, 2, backend=backends.of(there))
    fails(lambda: other.train(here, Y, 1), TypeError, "X is on .*device1")
    fails(lambda: setattr(other, "bias_output", xp.zeros((1, 2))), TypeError, "b is on .*device1")
