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
def test_a_saved_network_is_the_same_on_any_backend_and_in_any_dtype(backend, rng, tmp_path, dtype):
    net, path = trained(rng, backend, dtype=dtype), tmp_path / "net.safetensors"
    net.metadata = {"labels": ["cat", "dog"]}
    net.save(path)
    for where in (backend, "numpy"):
        loaded = NeuralNetwork.load(path, backend=where)
        assert (parameters(loaded) == parameters(net)).all()
        assert loaded.architecture == net.architecture
        assert (loaded.dtype, loaded.metadata) == (dtype, net.metadata)
        assert loaded.layers[0].W.dtype == loaded.backend.dtype(dtype)
    single = NeuralNetwork.load(path, dtype="float32")
    assert (parameters(single) == parameters(net).astype(np.float32)).all()
    X = samples(rng, 5, 3)
    assert (loaded.predict(X) == NeuralNetwork.load(path, backend="numpy").predict(X)).all()
    loaded.train(X, [0, 1, 0, 1, 1], 2, progress=False)


def test_a_loaded_or_copied_network_is_placed_as_a_new_one_is(monkeypatch, rng, tmp_path):
    xp = pytest.importorskip("array_api_strict")
    path, X = tmp_path / "net.safetensors", samples(rng, 5, 3)
    net = trained(rng)
    net.save(path)
    # No word: the first arrays decide.
    for placed in (NeuralNetwork.load(path), copy.deepcopy(NeuralNetwork.load(path))):
        result = placed.predict(xp.asarray(X))
        assert placed.backend.name == "array_api_strict"
        assert np.asarray(result) == pytest.approx(net.predict(X), rel=1e-13)
    monkeypatch.setenv("CHAINRULE_BACKEND", "nonsense")
    with pytest.raises(ValueError, match="unknown backend 'nonsense'"):
        NeuralNetwork.load(path)
    assert NeuralNetwork.load(path, backend="numpy").backend.name == "numpy"


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
@pytest.mark.parametrize("again", [lambda net: pickle.loads(pickle.dumps(net)), copy.deepcopy])  # noqa: S301
def test_a_network_that_is_pickled_or_copied_goes_on_as_the_first_does(backend, rng, again):
    net = trained(rng, backend)
    X, y = blobs(rng, 20, 3, 2)
    for resume in (False, True):
        how = {"optimizer": "adam", "batch_size": 8, "progress": False, "resume": resume}
        net.train(X, y, 2, **how)
        net.feedforward(X)
        other = again(net)
        assert other.backend == net.backend
        assert other.architecture == net.architecture
        for each in (net, other):
            each.train(X, y, 2, **how)
        assert (parameters(other) == parameters(net)).all()
