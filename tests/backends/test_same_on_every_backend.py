"""One seed gives one training run, whatever library computes it."""

from contextlib import ExitStack
from functools import cache

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.optimizers import OPTIMIZERS
from support.backends import KINDS, opened
from support.compare import parameters, relative_error
from support.data import blobs, samples
from support.pairs import all_pairs

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
RATES = {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, "adam": 5e-3, "adamw": 5e-3}
ROWS, FEATURES, CLASSES = 23, 5, 3
BATCH, EPOCHS = 5, 10  # 23 rows make 5 batches, the last of 3: 50 steps
ADDITIONS = {"dropout": 0.2, "weight_decay": 1e-3, "clip_norm": 0.5}


def run(backend, optimizer="sgd", dtype="float64", *, additions=ADDITIONS, **arguments):
    """Train 50 steps with everything that a step can hold; return the network and its history."""
    rng = np.random.default_rng(5)
    X, y = blobs(rng, ROWS, FEATURES, CLASSES)
    how = {"sample_weight": rng.uniform(0.5, 1.5, ROWS), "batch_size": BATCH, "progress": False}
    kind = {"activation": "tanh", "loss": "cross_entropy", "seed": 3, "dtype": dtype, **additions}
    net = NeuralNetwork(FEATURES, (7, 6), CLASSES, backend=backend, **kind)
    return net, net.train(X, y, EPOCHS, RATES[optimizer], optimizer=optimizer, **(how | arguments))


@cache
def by_numpy(optimizer, dtype):
    """Return the parameters and the losses that the others are compared with."""
    net, history = run("numpy", optimizer, dtype)
    return parameters(net), history["loss"]


@pytest.mark.parametrize(
    ("kind", "optimizer", "dtype", "is_compiled"),
    [
        pytest.param(*case, id="-".join(map(str, (kind.name, *case[1:]))), marks=kind.marks)
        for case in all_pairs(KINDS, list(OPTIMIZERS), list(TOLERANCE), (True, False))
        for kind in case[:1]
    ],
)
def test_fifty_steps_from_one_seed_end_where_numpy_ends(kind, optimizer, dtype, is_compiled):
    with ExitStack() as stack:
        net, history = run(opened(kind, stack), optimizer, dtype, compile=is_compiled)
        got, dtypes = parameters(net), (net.layers[0].W.dtype, net.backend.dtype(dtype))
    wanted, losses = by_numpy(optimizer, dtype)
    assert dtypes[0] == dtypes[1]
    assert relative_error(got, wanted) < TOLERANCE[dtype]
    assert relative_error(history["loss"], losses) < TOLERANCE[dtype]
    assert losses[-1] < losses[0]  # it does learn: the comparison is of something


@pytest.mark.parametrize("addition", ADDITIONS)
def test_the_fifty_steps_do_clip_and_do_drop(addition):
    without, _ = run("numpy", additions={k: v for k, v in ADDITIONS.items() if k != addition})
    assert relative_error(parameters(without), by_numpy("sgd", "float64")[0]) > 1e-6


def test_a_reshape_of_what_is_turned_is_refused_where_it_would_be_a_copy_and_never_wrong(backend, rng):
    def turned(Z):
        xp, (n, width) = namespace(Z), Z.shape
        flat = xp.reshape(xp.matrix_transpose(Z), (n * width,))
        return xp.matrix_transpose(xp.reshape(xp.tanh(flat), (width, n)))

    kind = {"activation": Activation("turned", turned, lambda _Z, A: 1.0 - A * A), "backend": backend}
    X, y = samples(rng, 23, 3), samples(rng, 23, 2)
    plain, compiled = (
        NeuralNetwork(3, 4, 2, output_activation="identity", seed=0, **kind) for _ in "ab"
    )
    plain.train(X, y, 5, 0.1, batch_size=5, progress=False, compile=False)
    limit, refused = 1e-12 if backend.default_dtype == "float64" else 1e-5, ""
    try:
        compiled.train(X, y, 5, 0.1, batch_size=5, progress=False)
    except ValueError as error:
        refused = str(error)
    if refused:
        assert refused.endswith("a plan cannot; reshape first, or train with compile=False")
    else:
        assert relative_error(parameters(compiled), parameters(plain)) < limit


def test_validation_holds_out_the_same_rows_on_every_backend(backend, reference):
    _, wanted = run(reference, validation_fraction=0.3, sample_weight=None)
    _, got = run(backend, validation_fraction=0.3, sample_weight=None)
    assert relative_error(got["validation_loss"], wanted["validation_loss"]) < 1e-10
    assert got["validation_accuracy"] == pytest.approx(wanted["validation_accuracy"])


def test_the_start_is_equal_to_the_bit(backend, reference):
    wanted = NeuralNetwork(4, (6, 5), 2, activation="relu", backend=reference, seed=11)
    got = NeuralNetwork(4, (6, 5), 2, activation="relu", backend=backend, seed=11)
    assert (parameters(got) == parameters(wanted)).all()


def test_training_modifies_neither_x_nor_y_nor_the_weights_and_takes_what_may_not_be_written_to(
    backend, rng
):
    host = samples(rng, 9, 3), samples(rng, 9, 2), rng.uniform(1.0, 2.0, 9)
    for part in host:
        part.flags.writeable = False
    there = [backend.asarray(part) for part in host]
    net = NeuralNetwork(3, 4, 2, output_activation="identity", backend=backend, seed=0)
    for X, y, weights in (host, there):
        how = {"sample_weight": weights, "batch_size": 4, "optimizer": "adam", "progress": False}
        net.train(X, y, 5, **how)
        net.backward(X, y, 0.1)
        net.feedforward(X)
    for after, before in zip(there, host, strict=True):
        assert (backend.to_numpy(after) == before).all()


def test_host_data_of_any_layout_and_labels_of_any_dtype_are_taken(backend):
    plain = np.arange(12.0).reshape(4, 3)
    net = NeuralNetwork(3, 4, 2, loss="cross_entropy", backend=backend, seed=0)
    wanted = backend.to_numpy(net.predict(plain))
    layouts = {
        "reversed": plain[::-1, ::-1].copy()[::-1, ::-1],
        "column-major": np.asfortranarray(plain),
        "list": plain.tolist(),
        **{dtype: plain.astype(dtype) for dtype in (">f8", "float16", "uint8")},
    }
    for layout, X in layouts.items():
        assert (backend.to_numpy(net.predict(X)) == wanted).all(), layout
    labels = np.array([1, 0, 1, 1])
    scores = net.evaluate(plain, np.eye(2)[labels])
    for dtype in ("int8", "uint8", "int16", "int32", "int64", "uint64", "float32", ">i4", "bool"):
        assert net.evaluate(plain, labels.astype(dtype)) == scores, dtype
        there = backend.asarray(labels.astype(dtype.removeprefix(">")))
        assert net.evaluate(plain, there) == scores, dtype


# -- the result is the backend's own, so that no test ran on NumPy unnoticed ----------------------------


def test_every_result_is_an_array_of_the_backend(backend, rng):
    net = NeuralNetwork(3, (4, 5), 2, loss="cross_entropy", backend=backend, seed=0)
    X = samples(rng, 6, 3)
    net.train(X, [0, 1, 0, 1, 1, 1], 2, progress=False)
    computed = [function(X) for function in (net.feedforward, net.predict, net.predict_classes)]
    for result in (*computed, net.hidden_output, net.bias_hidden):
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


def test_several_backends_live_in_one_process(backend, rng):
    X, y = samples(rng, 6, 3), samples(rng, 6, 1)
    nets = [NeuralNetwork(3, 4, 1, backend=b, seed=0) for b in ("numpy", backend)]
    for _ in range(3):  # in turns
        for net in nets:
            net.train(X, y, 1, optimizer="momentum", progress=False)
    assert relative_error(*map(parameters, nets)) < 1e-12
    assert isinstance(nets[0].predict(X), np.ndarray)


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
