"""Bad input: one line that names what was got, what was wanted and the remedy; nothing is trained."""

import re

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends import BackendUnavailableError

X = np.arange(12.0).reshape(4, 3) / 12.0
Y = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
LABELS = np.array([0, 1, 1, 0])


def with_entry(array, place, value):
    changed = array.astype(type(value))
    changed[place] = value
    return changed


def fails(call, error, *said):
    """Assert that ``call`` raises ``error`` with one line that says all of ``said``."""
    with pytest.raises(error) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    for part in said:
        assert part in message, message
    return message


# got, wanted, remedy: each a part of the message
BAD_X = {
    "a feature too many": (np.ones((4, 5)), ValueError, "5 features", "takes 3", "added or lost"),
    "transposed": (X.T, ValueError, "4 features", "takes 3", "transposed"),
    "one sample, flat": (X[0], ValueError, "shape (3,)", "(n, 3)", "X[None, :]"),
    "a flat array of another length": (np.ones(7), ValueError, "shape (7,)", "(n, 3)", "a row a sample"),
    "three dimensions": (np.ones((2, 2, 3)), ValueError, "shape (2, 2, 3)", "(n, 3)", "a row a sample"),
    "a number": (5.0, ValueError, "shape ()", "(n, 3)"),
    "no rows": (np.ones((0, 3)), ValueError, "no rows", "at least one"),
    "an empty list": ([], ValueError, "shape (0,)", "(n, 3)"),
    "None": (None, TypeError, "object", "real numbers", "convert"),
    "NaN": (with_entry(X, (2, 1), np.nan), ValueError, "NaN", "row 2, column 1", "fill or drop"),
    "infinity": (
        with_entry(X, (3, 0), -np.inf),
        ValueError,
        "infinity",
        "row 3, column 0",
        "fill or drop",
    ),
    "objects": (np.array([[1, None, 2]] * 4), TypeError, "object", "real numbers", "convert"),
    "text": (np.array([["1", "2", "3"]] * 4), TypeError, "<U1", "real numbers", "convert"),
    "complex": (X.astype(complex), TypeError, "complex128", "real numbers", "convert"),
    "dates": (np.zeros((4, 3), "M8[s]"), TypeError, "datetime64", "real numbers", "convert"),
    "ragged": ([[1.0, 2.0, 3.0], [1.0]], ValueError, "ragged", "one length"),
}


@pytest.mark.parametrize("verb", ["train", "backward", "feedforward", "predict", "evaluate"])
@pytest.mark.parametrize(("bad", "error", "said"), [(b, e, s) for b, e, *s in BAD_X.values()], ids=BAD_X)
def test_bad_x_is_refused_by_every_verb_and_nothing_is_trained(verb, bad, error, said):
    net = NeuralNetwork(3, 4, 2, seed=0)
    before = [np.copy(part) for layer in net.layers for part in layer]
    arguments = {"train": (bad, Y, 5), "backward": (bad, Y), "evaluate": (bad, Y)}.get(verb, (bad,))
    fails(lambda: getattr(net, verb)(*arguments), error, "X ", *said)
    for part, kept in zip([part for layer in net.layers for part in layer], before, strict=True):
        assert (part == kept).all()


def test_the_first_bad_entry_is_the_one_named():
    bad = with_entry(with_entry(X, (1, 2), np.nan), (3, 0), np.inf)
    fails(lambda: NeuralNetwork(3, 4, 2).feedforward(bad), ValueError, "NaN at row 1, column 2")


def test_a_number_too_large_for_float32_is_named():
    net = NeuralNetwork(3, 4, 2, dtype="float32")
    fails(
        lambda: net.feedforward(with_entry(X, (0, 1), 1e300)), ValueError, "row 0, column 1", "float32"
    )


BAD_Y = {
    "another length": ("squared_error", Y[:3], ValueError, "3 rows", "X has 4", "for each sample"),
    "transposed": ("squared_error", Y.T, ValueError, "2 rows", "X has 4", "give y.T"),
    "a number": ("squared_error", 1.0, ValueError, "no rows", "X has 4"),
    "empty": ("squared_error", [], ValueError, "0 rows", "X has 4"),
    "another width": ("squared_error", np.ones((4, 3)), ValueError, "(4, 3)", "(4, 2)", "reshape"),
    "flat": ("squared_error", LABELS, ValueError, "(4,)", "(4, 2)", "reshape"),
    "NaN": (
        "squared_error",
        with_entry(Y, (1, 1), np.nan),
        ValueError,
        "NaN",
        "row 1, column 1",
        "fill",
    ),
    "infinity": ("mean_squared_error", with_entry(Y, (3, 0), np.inf), ValueError, "infinity", "row 3"),
    "objects": ("squared_error", Y.astype(object), TypeError, "object", "real numbers", "convert"),
    "complex": ("squared_error", Y.astype(complex), TypeError, "complex", "real numbers", "convert"),
    "text labels": ("cross_entropy", ["cat", "dog", "cat", "dog"], TypeError, "<U3", "real numbers"),
    "a label too large": (
        "cross_entropy",
        [0, 1, 2, 0],
        ValueError,
        "label 2 at row 2",
        "2 classes",
        "0 to 1",
    ),
    "a negative label": ("cross_entropy", [0, -1, 1, 0], ValueError, "label -1 at row 1", "0 to 1"),
    "half a label": ("cross_entropy", [0, 0.5, 1, 0], ValueError, "label 0.5 at row 1", "whole numbers"),
    "a label NaN": ("cross_entropy", [0, 1, np.nan, 0], ValueError, "nan at row 2"),
    "no probabilities": ("cross_entropy", 2 * Y - 0.5, ValueError, "outside 0 to 1", "probabilities"),
    "rows that do not sum to 1": ("cross_entropy", 0.9 * Y, ValueError, "sum to 1", "one-hot"),
    "beyond 1": ("binary_cross_entropy", 2 * Y, ValueError, "outside 0 to 1", "probabilities"),
}


@pytest.mark.parametrize("verb", ["train", "backward", "evaluate", "check_gradients"])
@pytest.mark.parametrize(
    ("loss", "bad", "error", "said"), [(f, b, e, s) for f, b, e, *s in BAD_Y.values()], ids=BAD_Y
)
def test_bad_y_is_refused_and_nothing_is_trained(verb, loss, bad, error, said):
    net = NeuralNetwork(3, 4, 2, loss=loss, seed=0)
    before = net.weights_input_hidden.copy()
    fails(lambda: getattr(net, verb)(X, bad, *([5] if verb == "train" else [])), error, "y ", *said)
    assert (net.weights_input_hidden == before).all()


BAD_WEIGHTS = {
    "another length": (np.ones(3), ValueError, "(3,)", "(4,)", "one a sample"),
    "negative": (np.array([1.0, -1.0, 1.0, 1.0]), ValueError, "negative", "give 0"),
    "NaN": (np.array([1.0, np.nan, 1.0, 1.0]), ValueError, "NaN", "row 1", "fill or drop"),
    "text": (["a"] * 4, TypeError, "<U1", "real numbers", "convert"),
}


@pytest.mark.parametrize(
    ("bad", "error", "said"), [(b, e, s) for b, e, *s in BAD_WEIGHTS.values()], ids=BAD_WEIGHTS
)
def test_bad_sample_weights_are_refused_and_nothing_is_trained(bad, error, said):
    net = NeuralNetwork(3, 4, 2, seed=0)
    before = net.weights_input_hidden.copy()
    fails(lambda: net.train(X, Y, 5, sample_weight=bad), error, "sample_weight", *said)
    assert (net.weights_input_hidden == before).all()


BAD_TRAINING = {
    "no epochs": ({"epochs": 0}, ValueError, "epochs is 0", "1 or more"),
    "negative epochs": ({"epochs": -3}, ValueError, "epochs is -3", "1 or more"),
    "half an epoch": ({"epochs": 1.5}, TypeError, "epochs is 1.5", "whole number"),
    "an empty batch": ({"batch_size": 0}, ValueError, "batch_size is 0", "1 or more"),
    "no patience": ({"early_stopping": 0}, ValueError, "early_stopping is 0", "1 or more"),
    "printing never": ({"print_every": 0}, ValueError, "print_every is 0", "1 or more"),
    "a negative rate": ({"learning_rate": -0.1}, ValueError, "learning_rate is -0.1", "0 or more"),
    "a rate as text": ({"learning_rate": "0.1"}, TypeError, "learning_rate is '0.1'", "number", "schedule"),
    "epochs that are a bool": ({"epochs": True}, TypeError, "epochs is True", "whole number"),
    "a batch that is a bool": ({"batch_size": True}, TypeError, "batch_size is True", "whole number"),
    "one callback": ({"callbacks": print}, TypeError, "callbacks is <built-in function print>", "a list of functions"),
    "a callback that is no function": ({"callbacks": [3]}, TypeError, "callbacks is [3]", "a list of functions"),
    "held-out X alone": ({"validation_data": X}, TypeError, "validation_data is a ndarray", "(X, y)"),
    "a fraction as text": ({"validation_fraction": "a"}, TypeError, "validation_fraction is 'a'", "below 1"),
    "an infinite rate": ({"learning_rate": np.inf}, ValueError, "learning_rate is inf", "finite"),
    "a rate in words": ({"learning_rate": "fast"}, TypeError, "learning_rate is 'fast'", "number", "schedule"),
    "no rate": ({"learning_rate": None}, TypeError, "learning_rate is None", "number", "schedule"),
    "an unknown optimizer": ({"optimizer": "adm"}, ValueError, "unknown optimizer 'adm'", "'adam'", "sgd"),
    "no optimizer": ({"optimizer": 3}, TypeError, "optimizer", "name", "got int"),
    "nothing held out": ({"validation_fraction": 0.01}, ValueError, "would hold out 0 of 4", "more rows"),
    "all held out": ({"validation_fraction": 0.99}, ValueError, "would hold out 4 of 4", "another fraction"),
    "more than all": ({"validation_fraction": 3}, ValueError, "validation_fraction is 3", "below 1"),
    "a fraction that is no number": ({"validation_fraction": np.nan}, ValueError, "nan", "below 1"),
    "held out twice": (
        {"validation_fraction": 0.5, "validation_data": (X, Y)}, ValueError, "validation_data and", "one of"
    ),
    "bad held-out X": ({"validation_data": (X.T, Y)}, ValueError, "4 features", "takes 3"),
    "bad held-out y": ({"validation_data": (X, Y[:2])}, ValueError, "2 rows", "X has 4"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "error", "said"), [(g, e, s) for g, e, *s in BAD_TRAINING.values()], ids=BAD_TRAINING
)
def test_bad_training_arguments_are_refused_and_nothing_is_trained(given, error, said, capsys):
    net = NeuralNetwork(3, 4, 2, seed=0)
    before = net.weights_input_hidden.copy()
    fails(lambda: net.train(X, Y, **{"epochs": 5, **given}), error, *said)
    assert (net.weights_input_hidden == before).all()
    assert capsys.readouterr() == ("", "")


BAD_NETWORKS = {
    "no inputs": ({"input_size": 0}, ValueError, "0, 4, 2", "1 or more"),
    "a negative width": ({"hidden_size": (5, -4)}, ValueError, "3, 5, -4, 2", "1 or more"),
    "negative outputs": ({"output_size": -1}, ValueError, "3, 4, -1", "1 or more"),
    "a width that is a bool": ({"hidden_size": True}, TypeError, "layer size is True", "whole number"),
    "half a unit": ({"hidden_size": 2.5}, TypeError, "layer size is 2.5", "whole number"),
    "an unknown activation": ({"activation": "rleu"}, ValueError, "unknown activation 'rleu'", "'relu'"),
    "an unknown output": ({"output_activation": "sigmoyd"}, ValueError, "'sigmoyd'", "'sigmoid'"),
    "an unknown loss": ({"loss": "crossentropy"}, ValueError, "unknown loss 'crossentropy'", "'cross_entropy'"),
    "an unknown initializer": ({"initializer": "he"}, ValueError, "unknown initializer 'he'", "he_normal"),
    "an unknown backend": ({"backend": "cpuy"}, ValueError, "unknown backend 'cpuy'", "'cupy'"),
    "too few activations": ({"activation": ["relu", "relu"]}, ValueError, "got 2 activations for 1 hidden layer;", "one name"),
    "an activation that is a function": ({"activation": abs}, TypeError, "a name or Activation", "builtin"),
    "dropout as a word": ({"dropout": "a fifth"}, TypeError, "dropout is 'a fifth'", "give a number"),
    "logits through a sigmoid": (
        {"loss": "cross_entropy", "output_activation": "sigmoid"}, ValueError, "logits", "'sigmoid'", "leave"
    ),
    "one class": ({"loss": "cross_entropy", "output_size": 1}, ValueError, "1 output", "binary_cross_entropy"),
    "too much dropout": ({"dropout": 1.0}, ValueError, "dropout is 1.0", "not including, 1"),
    "negative dropout": ({"dropout": -0.1}, ValueError, "dropout is -0.1", "from 0"),
    "negative decay": ({"weight_decay": -1.0}, ValueError, "weight_decay is -1.0", "0 or more"),
    "endless decay": ({"weight_decay": np.inf}, ValueError, "weight_decay is inf", "0 or more"),
    "clipping to nothing": ({"clip_norm": 0.0}, ValueError, "clip_norm is 0.0", "above 0"),
    "eighth precision": ({"dtype": "float8"}, ValueError, "dtype is float8", "'float32' or 'float64'"),
    "no dtype": ({"dtype": "double-ish"}, ValueError, "double-ish", "'float32' or 'float64'"),
    "a negative seed": ({"seed": -1}, ValueError, "seed is -1", "0 or more"),
    "half a seed": ({"seed": 1.5}, TypeError, "seed is 1.5", "whole number"),
    "a backend of no kind": ({"backend": 3}, TypeError, "backend 3", "numpy"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "error", "said"), [(g, e, s) for g, e, *s in BAD_NETWORKS.values()], ids=BAD_NETWORKS
)
def test_bad_networks_are_refused(given, error, said):
    usual = {"input_size": 3, "hidden_size": 4, "output_size": 2}
    fails(lambda: NeuralNetwork(**(usual | given)), error, *said)


def test_a_bad_parameter_is_refused_and_the_old_one_stays():
    net = NeuralNetwork(3, 4, 2, seed=0)
    before = net.weights_input_hidden.copy()
    for bad, error, *said in (
        (np.ones((4, 3)), ValueError, "shape (4, 3)", "(3, 4)"),
        (np.full((3, 4), np.nan), ValueError, "NaN at row 0, column 0"),
        (np.ones((3, 4), complex), TypeError, "complex128", "real numbers"),
    ):
        fails(lambda: setattr(net, "weights_input_hidden", bad), error, *said)  # noqa: B023
    assert (net.weights_input_hidden == before).all()


def test_a_layer_that_is_not_there_is_named():
    net = NeuralNetwork(3, 4, 2, seed=0)
    fails(lambda: net.set_layer(2, b=[[0, 0]]), IndexError, "2 layers", "no layer 2")


def test_an_initializer_that_draws_another_shape_is_refused():
    fails(
        lambda: NeuralNetwork(3, 4, 2, initializer=lambda _source, n_in, n_out: np.ones((n_out, n_in))),
        ValueError, "(4, 3)", "(3, 4)",
    )  # fmt: skip


# -- backends that cannot be used, arrays on two devices --------------------------------------------


def test_a_backend_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    message = fails(
        lambda: NeuralNetwork(3, 4, 2, backend="cupy"),
        BackendUnavailableError,
        "'cupy' is not installed",
        "'numpy'",
    )
    for command in re.findall(r"pip install '([^']*)'", message):
        assert re.fullmatch(r"\.\[\w+\]", command), command
    assert "cuda12" in message
    assert "cuda13" in message


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("numpy:gpu", ValueError, ["no device 'gpu'", "'cpu'"]),
        pytest.param(
            "torch:gpu",
            ValueError,
            ["no device 'gpu'", "'torch:cuda'"],
            marks=pytest.mark.needs("torch"),
        ),
        pytest.param(
            "torch:cuda:77",
            BackendUnavailableError,
            ["cannot be used here", "torch:cpu"],
            marks=pytest.mark.needs("torch"),
        ),
        pytest.param(
            "jax:cpu:77",
            BackendUnavailableError,
            ["cannot be used here", "jax:cpu"],
            marks=pytest.mark.needs("jax"),
        ),
        pytest.param(
            "jax:tpu",
            BackendUnavailableError,
            ["cannot be used here", "jax:cpu"],
            marks=pytest.mark.needs("jax"),
        ),
        pytest.param(
            "jax:cpu:one",
            BackendUnavailableError,
            ["cannot be used here", "jax:cpu"],
            marks=pytest.mark.needs("jax"),
        ),
    ],
)
def test_a_device_that_is_not_here_is_named(name, error, said):
    fails(lambda: NeuralNetwork(3, 4, 2, backend=name), error, *said)


def test_arrays_of_another_device_are_not_moved_silently():
    xp = pytest.importorskip("array_api_strict")
    here, there = xp.asarray(X), xp.asarray(X, device=xp.Device("device1"))
    y = xp.asarray(Y, device=xp.Device("device1"))
    said = "move one of them"
    net = NeuralNetwork(3, 4, 2)
    fails(
        lambda: net.train(here, y, 1),
        TypeError,
        "y is on",
        "device1",
        "network is on",
        "CPU_DEVICE",
        said,
    )
    assert net.backend.describe() == backends.of(here).describe()
    numpy_net = NeuralNetwork(3, 4, 2, backend="numpy")
    fails(lambda: numpy_net.predict(here), TypeError, "X is on array_api_strict", "is on numpy", said)
    other = NeuralNetwork(3, 4, 2, backend=backends.of(there))
    fails(lambda: other.train(here, Y, 1), TypeError, "X is on", "device1", said)
    fails(lambda: setattr(other, "bias_output", xp.zeros((1, 2))), TypeError, "b is on", "device1", said)


@pytest.mark.needs("torch")
def test_arrays_of_two_libraries_are_not_mixed():
    import torch

    xp = pytest.importorskip("array_api_strict")
    net = NeuralNetwork(3, 4, 2)
    fails(
        lambda: net.train(torch.asarray(X), xp.asarray(Y), 1),
        TypeError,
        "y is on array_api_strict",
        "torch:cpu",
    )


def test_masked_entries_are_refused_and_a_mask_without_any_is_not():
    net = NeuralNetwork(3, 4, 2)
    masked = np.ma.masked_array(X, mask=np.arange(X.size).reshape(X.shape) < 2)
    fails(lambda: net.feedforward(masked), ValueError, "X has 2 masked entries", ".filled(value)")
    assert (net.feedforward(np.ma.masked_array(X)) == net.feedforward(X)).all()


def test_complex_arrays_of_a_device_are_refused():
    xp = pytest.importorskip("array_api_strict")
    bad = xp.asarray(X.astype(complex))
    fails(lambda: NeuralNetwork(3, 4, 2).feedforward(bad), TypeError, "complex128", "real numbers")


@pytest.mark.needs("jax")
def test_float64_on_a_jax_that_has_none_is_refused(monkeypatch):
    import jax

    jax.config.update("jax_enable_x64", False)
    try:
        fails(
            lambda: NeuralNetwork(3, 4, 2, backend="jax", dtype="float64"),
            ValueError, "JAX_ENABLE_X64=1", "dtype='float32'",
        )  # fmt: skip
        assert NeuralNetwork(3, 4, 2, backend="jax").dtype == "float32"
    finally:
        jax.config.update("jax_enable_x64", True)
