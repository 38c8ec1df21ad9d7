"""Saving a network and loading it, on any backend."""

import copy
import pickle

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork
from chainrule.mathematics.activations import tanh
from support.backends import params
from support.compare import parameters
from support.data import blobs, samples

pytest.importorskip("safetensors")


def trained(rng, backend=None, **given):
    net = NeuralNetwork(
        3, (5, 4), 2, activation=["relu", "tanh"], loss="cross_entropy", dropout=0.1, weight_decay=1e-3,
        clip_norm=2.0, backend=backend, seed=0, **given,
    )  # fmt: skip
    X, y = blobs(rng, 20, 3, 2)
    net.train(X, y, 3, progress=False)
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_saved_network_is_the_same_on_any_backend(backend, rng, tmp_path, dtype):
    net = trained(rng, backend, dtype=dtype)
    net.metadata = {"labels": ["cat", "dog"]}
    net.save(tmp_path / "net.safetensors")
    for where in (backend, "numpy"):
        loaded = NeuralNetwork.load(tmp_path / "net.safetensors", backend=where)
        assert (parameters(loaded) == parameters(net)).all()
        assert loaded.architecture == net.architecture
        assert loaded.dtype == dtype
        assert loaded.metadata == net.metadata
        assert loaded.layers[0].W.dtype == loaded.backend.dtype(dtype)


def test_a_loaded_network_predicts_and_trains_on(rng, tmp_path):
    net = trained(rng)
    net.save(tmp_path / "net.safetensors")
    loaded = NeuralNetwork.load(tmp_path / "net.safetensors")
    X = samples(rng, 5, 3)
    assert (loaded.predict(X) == net.predict(X)).all()
    loaded.train(X, [0, 1, 0, 1, 1], 2, progress=False)


def test_a_loaded_network_is_placed_as_a_new_one_is(monkeypatch, rng, tmp_path):
    xp = pytest.importorskip("array_api_strict")
    path = tmp_path / "net.safetensors"
    net = trained(rng)
    net.save(path)
    X = samples(rng, 5, 3)
    loaded = NeuralNetwork.load(path)  # no word: the first arrays decide
    result = loaded.predict(xp.asarray(X))
    assert loaded.backend.name == "array_api_strict"
    assert np.asarray(result) == pytest.approx(net.predict(X), rel=1e-13)
    monkeypatch.setenv("CHAINRULE_BACKEND", "nonsense")
    with pytest.raises(ValueError, match="unknown backend 'nonsense'"):
        NeuralNetwork.load(path)
    assert NeuralNetwork.load(path, backend="numpy").backend.name == "numpy"


def test_a_dtype_may_be_asked_for(rng, tmp_path):
    net = trained(rng)
    net.save(tmp_path / "net.safetensors")
    loaded = NeuralNetwork.load(tmp_path / "net.safetensors", dtype="float32")
    assert (parameters(loaded) == parameters(net).astype(np.float32)).all()


def test_an_activation_of_ones_own_cannot_be_saved_and_nothing_is_written(tmp_path):
    net = NeuralNetwork(3, 4, 2, activation=Activation("tanh", tanh.value, lambda _, A: 1.0 - A * A))
    with pytest.raises(ValueError, match="a file cannot hold its code"):
        net.save(tmp_path / "net.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_named_safetensors_or_has_no_suffix(rng, tmp_path):
    net = trained(rng)
    with pytest.raises(ValueError, match=r"'net.pkl' names another kind of file; .*'net.safetensors'"):
        net.save(tmp_path / "net.pkl")
    assert list(tmp_path.iterdir()) == []
    net.save(tmp_path / "net")
    assert (parameters(NeuralNetwork.load(tmp_path / "net")) == parameters(net)).all()


@pytest.mark.parametrize("backend", params("numpy-readonly"), indirect=True)
@pytest.mark.parametrize(
    "again",
    [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy],  # noqa: S301
    ids=["pickle", "deepcopy"],
)
@pytest.mark.parametrize("resume", [False, True])
def test_a_network_that_is_pickled_or_copied_goes_on_as_the_first_does(backend, rng, again, resume):
    net = trained(rng, backend)
    X, y = blobs(rng, 20, 3, 2)
    net.train(X, y, 2, optimizer="adam", batch_size=8, progress=False, resume=resume)
    net.feedforward(X)
    other = again(net)
    assert other.backend == net.backend
    assert other.architecture == net.architecture
    for each in (net, other):
        each.train(X, y, 2, optimizer="adam", batch_size=8, progress=False, resume=resume)
    assert (parameters(other) == parameters(net)).all()


def test_a_copy_of_a_network_without_a_backend_is_placed_as_a_new_one_is():
    xp = pytest.importorskip("array_api_strict")
    net = copy.deepcopy(NeuralNetwork(3, 4, 2, seed=0))
    net.predict(xp.ones((1, 3)))
    assert net.backend.name == "array_api_strict"
