"""One seed gives one training run, whatever library computes it."""

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.optimizers import OPTIMIZERS
from support.backends import params
from support.compare import parameters, relative_error
from support.data import blobs, samples

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
RATES = {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, "adam": 5e-3, "adamw": 5e-3}
ROWS, FEATURES, CLASSES = 23, 5, 3
BATCH, EPOCHS = 5, 10  # 23 rows make 5 batches, the last of 3: 50 steps


def run(backend, optimizer, dtype, *, compiled=True, **given):
    """Train 50 steps with everything that a step can hold; return the network and its history."""
    rng = np.random.default_rng(5)
    X, y = blobs(rng, ROWS, FEATURES, CLASSES)
    additions = {"dropout": 0.2, "weight_decay": 1e-3, "clip_norm": 0.5, "activation": "tanh"}
    net = NeuralNetwork(
        FEATURES,
        (7, 6),
        CLASSES,
        loss="cross_entropy",
        backend=backend,
        dtype=dtype,
        seed=3,
        **additions,
    )
    weights = rng.uniform(0.5, 1.5, ROWS)
    arguments = {
        "epochs": EPOCHS,
        "learning_rate": RATES[optimizer],
        "batch_size": BATCH,
        "progress": False,
    }
    arguments |= {"optimizer": optimizer, "sample_weight": weights, "validation_fraction": None, **given}
    return net, net.train(X, y, compile=compiled, **arguments)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_fifty_steps_from_one_seed_end_where_numpy_ends(backend, reference, dtype, optimizer):
    wanted, wanted_history = run(reference, optimizer, dtype)
    got, history = run(backend, optimizer, dtype)
    assert got.layers[0].W.dtype == backend.dtype(dtype)
    assert relative_error(parameters(got), parameters(wanted)) < TOLERANCE[dtype]
    assert relative_error(history["loss"], wanted_history["loss"]) < TOLERANCE[dtype]
    assert history["loss"][-1] < history["loss"][0]  # it does learn: the comparison is of something


def test_the_fifty_steps_do_clip_and_do_drop(reference):
    usual, _ = run(reference, "sgd", "float64")
    for setting in ({"clip_norm": None}, {"dropout": 0.0}, {"weight_decay": 0.0}):
        rng = np.random.default_rng(5)
        X, y = blobs(rng, ROWS, FEATURES, CLASSES)
        additions = {
            "dropout": 0.2,
            "weight_decay": 1e-3,
            "clip_norm": 0.5,
            "activation": "tanh",
        } | setting
        net = NeuralNetwork(FEATURES, (7, 6), CLASSES, loss="cross_entropy", seed=3, **additions)
        weights = rng.uniform(0.5, 1.5, ROWS)
        net.train(X, y, EPOCHS, RATES["sgd"], batch_size=BATCH, progress=False, sample_weight=weights)
        assert relative_error(parameters(net), parameters(usual)) > 1e-6, setting


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_compiled_step_does_what_the_plain_one_does(backend, optimizer):
    plain, plain_history = run(backend, optimizer, "float64", compiled=False)
    compiled, history = run(backend, optimizer, "float64")
    assert relative_error(parameters(compiled), parameters(plain)) < 1e-12
    assert relative_error(history["loss"], plain_history["loss"]) < 1e-12


def test_a_reshape_of_what_is_turned_is_refused_where_it_would_be_a_copy_and_never_wrong(backend, rng):
    def turned(Z):
        xp, (n, width) = namespace(Z), Z.shape
        flat = xp.reshape(xp.matrix_transpose(Z), (n * width,))
        return xp.matrix_transpose(xp.reshape(xp.tanh(flat), (width, n)))

    X, y, nets = samples(rng, 23, 3), samples(rng, 23, 2), []
    for asked in (False, True):
        activation = Activation("turned", turned, lambda _Z, A: 1.0 - A * A)
        net = NeuralNetwork(
            *(3, 4, 2), activation=activation, output_activation="identity", backend=backend, seed=0
        )
        try:
            net.train(X, y, 5, 0.1, batch_size=5, progress=False, compile=asked)
        except ValueError as refused:
            said = str(refused)
        else:
            said = ""
        if said:
            wanted = "a plan cannot; reshape first, or train with compile=False"
            assert (asked, said[-len(wanted) :]) == (True, wanted)
            return
        nets.append(net)
    assert relative_error(parameters(nets[1]), parameters(nets[0])) < (
        1e-12 if backend.default_dtype == "float64" else 1e-5
    )


def test_validation_holds_out_the_same_rows_on_every_backend(backend, reference):
    _, wanted = run(reference, "sgd", "float64", validation_fraction=0.3, sample_weight=None)
    _, got = run(backend, "sgd", "float64", validation_fraction=0.3, sample_weight=None)
    assert relative_error(got["validation_loss"], wanted["validation_loss"]) < 1e-10
    assert got["validation_accuracy"] == pytest.approx(wanted["validation_accuracy"])


def test_the_start_is_equal_to_the_bit(backend, reference):
    wanted = NeuralNetwork(4, (6, 5), 2, activation="relu", backend=reference, seed=11)
    got = NeuralNetwork(4, (6, 5), 2, activation="relu", backend=backend, seed=11)
    assert (parameters(got) == parameters(wanted)).all()


def test_training_modifies_neither_x_nor_y_nor_the_weights(backend, rng):
    X, y, weights = samples(rng, 9, 3), samples(rng, 9, 2), rng.uniform(1.0, 2.0, 9)
    given = [backend.asarray(part) for part in (X, y, weights)]
    net = NeuralNetwork(3, 4, 2, output_activation="identity", backend=backend, seed=0)
    net.train(
        given[0], given[1], 5, sample_weight=given[2], batch_size=4, optimizer="adam", progress=False
    )
    net.backward(given[0], given[1], 0.1)
    net.feedforward(given[0])
    for after, before in zip(given, (X, y, weights), strict=True):
        assert (backend.to_numpy(after) == before).all()


def test_host_arrays_that_may_not_be_written_to_train_a_network(backend, rng):
    X, y = samples(rng, 6, 3), samples(rng, 6, 1)
    X.flags.writeable = y.flags.writeable = False
    NeuralNetwork(3, 4, 1, backend=backend, seed=0).train(X, y, 3, batch_size=4, progress=False)


@pytest.mark.parametrize(
    "layout", ["reversed", "big-endian", "column-major", "float16", "uint8", "list"]
)
def test_host_data_of_any_layout_are_taken(backend, layout):
    plain = np.arange(12.0).reshape(4, 3)
    X = {
        "reversed": plain[::-1, ::-1].copy()[::-1, ::-1],
        "big-endian": plain.astype(">f8"),
        "column-major": np.asfortranarray(plain),
        "float16": plain.astype(np.float16),
        "uint8": plain.astype(np.uint8),
        "list": plain.tolist(),
    }[layout]
    net = NeuralNetwork(3, 4, 2, activation="tanh", backend=backend, seed=0)
    wanted = backend.to_numpy(net.predict(plain))
    assert (backend.to_numpy(net.predict(X)) == wanted).all()


def test_labels_of_any_dtype_are_taken(backend):
    labels, X = np.array([1, 0, 1, 1]), np.eye(4)
    net = NeuralNetwork(4, 3, 2, loss="cross_entropy", backend=backend, seed=0)
    wanted = net.evaluate(X, np.eye(2)[labels])
    for dtype in ("int8", "uint8", "int16", "int32", "int64", "uint64", "float32", ">i4", "bool"):
        assert net.evaluate(X, labels.astype(dtype)) == wanted, dtype
        assert (
            net.evaluate(X, backend.asarray(labels.astype(dtype[-2:] if dtype == ">i4" else dtype)))
            == wanted
        )


# -- the result is the backend's own, so that no test ran on NumPy unnoticed ----------------------------


def test_every_result_is_an_array_of_the_backend(backend, rng):
    net = NeuralNetwork(3, (4, 5), 2, loss="cross_entropy", backend=backend, seed=0)
    X = samples(rng, 6, 3)
    net.train(X, [0, 1, 0, 1, 1, 1], 2, progress=False)
    results = [
        net.feedforward(X),
        net.predict(X),
        net.predict_classes(X),
        net.hidden_output,
        net.bias_hidden,
    ]
    for result in results:
        assert type(result) is type(backend.asarray(np.ones((2, 2)))), type(result)
        assert backends.of(result).describe() == backends.of(backend.asarray(np.ones(2))).describe()


def test_a_network_follows_the_first_arrays_it_is_given(backend, rng):
    X, y = samples(rng, 6, 3), samples(rng, 6, 1)
    net = NeuralNetwork(3, 4, 1, seed=0)
    net.train(backend.asarray(X), y, 2, progress=False)  # y is moved to X
    assert net.backend.describe() == backends.of(backend.asarray(X)).describe()
    other = NeuralNetwork(3, 4, 1, backend=backend, seed=0)
    other.train(X, y, 2, progress=False)
    assert relative_error(parameters(net), parameters(other)) < 1e-12


@pytest.mark.parametrize("kind", params("numpy", "numpy-readonly"))
def test_several_backends_live_in_one_process(kind, rng):
    from contextlib import ExitStack

    from support.backends import opened

    X, y = samples(rng, 6, 3), samples(rng, 6, 1)
    with ExitStack() as stack:
        nets = [NeuralNetwork(3, 4, 1, backend=b, seed=0) for b in ("numpy", opened(kind, stack))]
        for _ in range(3):  # in turns
            for net in nets:
                net.train(X, y, 1, optimizer="momentum", progress=False)
        assert relative_error(*map(parameters, nets)) < 1e-12
        assert isinstance(nets[0].predict(X), np.ndarray)
        assert not isinstance(nets[1].predict(X), np.ndarray)


@pytest.mark.needs("torch")
def test_torch_tensors_with_a_gradient_of_their_own_are_taken_without_it():
    import torch

    X = torch.ones(4, 2, dtype=torch.float64, requires_grad=True)
    net = NeuralNetwork(2, 3, 1, seed=0)
    net.train(X, [0, 1, 0, 1], 3, progress=False)
    assert X.grad is None
    assert not net.predict(X).requires_grad


def test_labels_of_a_dtype_too_small_for_the_classes_are_not_taken_for_others(backend):
    # arange(300) in int8 comes round again: a label -1 would be found there, and 44 twice.
    net = NeuralNetwork(1, (), 300, loss="cross_entropy", backend=backend, seed=0)
    net.train([[1.0], [2.0]], np.array([44, 127], np.int8), 1, progress=False)
    with pytest.raises(ValueError, match="label -1 at row 1"):
        net.train([[1.0], [2.0]], np.array([44, -1], np.int8), 1, progress=False)
