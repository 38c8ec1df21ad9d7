"""`backend="auto"`: chosen by the stored map when the first data come, and said in the log."""

import logging
import re

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.backends.speed_map.stored import write
from chainrule.mathematics.activations import Activation
from support.maps import NUMPY, TORCH, a_map

X = np.linspace(0.0, 1.0, 256 * 64, dtype="float32").reshape(256, 64)  # (256, 64)
Y = np.full((256, 10), 0.5, dtype="float32")  # (256, 10)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="chainrule")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "chainrule"]


def a_network(**more):
    return NeuralNetwork(64, 16, 10, **{"backend": "auto", "dtype": "float32", "seed": 0, **more})


def test_with_nothing_stored_it_is_numpy_and_the_log_says_how_to_measure(said):
    net = a_network()
    net.train(X, Y, epochs=1, batch_size=32, progress=False)
    assert net.backend.name == "numpy"
    (line,) = said()
    assert "nothing is measured on this machine yet" in line
    assert line.endswith("measure with: chainrule bench recommend --layers 64,16,10 --batch 32")


def test_the_map_chooses_when_training_starts_for_good_and_the_log_says_why(said):
    write(a_map())
    net = a_network()
    net.train(X, Y, epochs=1, batch_size=16, progress=False)
    net.feedforward(X)
    assert net.backend.name == "numpy"
    (line,) = said()
    assert line.startswith("backend auto: numpy; 64-16-10, batch 16: numpy takes")
    assert "times as fast as torch" in line


@pytest.mark.parametrize(
    ("use", "batch"),
    [
        (lambda net: net.train(X[:16], Y[:16], epochs=1, batch_size=4096, progress=False), 16),
        (lambda net: net.feedforward(X), 256),
        (lambda net: net.predict(X), 256),
        (lambda net: net.evaluate(X, Y), 256),
        (lambda net: net.backward(X, Y), 256),
    ],
    ids=["train", "feedforward", "predict", "evaluate", "backward"],
)
def test_the_batch_is_that_of_training_and_no_larger_than_the_rows_given(said, use, batch):
    write(a_map())
    use(a_network())
    assert f"64-16-10, batch {batch}:" in said()[0]


def test_the_environment_variable_asks_for_it_too(said, monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "auto")
    write(a_map())
    net = a_network(backend=None)
    assert net.memory_estimate(16).total > 0
    net = a_network(backend=None)
    net.feedforward(X)
    assert said()[0].startswith("backend auto: numpy; 64-16-10, batch 256")


@pytest.mark.needs("torch")
def test_another_backend_is_used_where_the_map_speaks_for_it(said):
    torch = pytest.importorskip("torch")
    write(a_map({"numpy": TORCH, "torch": NUMPY}))
    net = a_network()
    net.train(X, Y, epochs=1, batch_size=16, progress=False)
    assert net.backend.name == "torch"
    assert isinstance(net.feedforward(X), torch.Tensor)
    assert said()[0].startswith("backend auto: torch; ")


FAR = "since 64-16-10, batch 256 in float32 lies outside the measured range; measure with"


@pytest.mark.parametrize(
    ("known", "version", "dtype", "line"),
    [
        (a_map(sizes=(784, 10)), None, "float32", FAR),
        (a_map({"torch": NUMPY, "numpy": NUMPY}, spread=0.05), None, "float32", "undecided"),
        (a_map({"numpy": TORCH, "absent": NUMPY}), None, "float32", "numpy; 64-16-10, batch 256"),
        (a_map(dtype="float64"), None, None, "64-16-10, batch 256:"),
        (a_map(), "1.0", "float32", "since the stored map was measured with numpy 1.0, but here it is"),
    ],
    ids=["far from it", "undecided", "not installed", "no dtype", "stale"],
)
def test_it_is_numpy_where_the_map_favours_no_other_that_is_here(said, known, version, dtype, line):
    file = write(known)
    if version:
        file.write_text(re.sub(r'"numpy": "[0-9][^"]*"', f'"numpy": "{version}"', file.read_text()))
    net = a_network(dtype=dtype)
    net.feedforward(X)
    assert (net.backend.name, net.dtype) == ("numpy", dtype or "float64")
    assert line in said()[0]
    assert "absent" not in said()[0]


def test_arrays_of_a_device_decide_before_the_map_and_a_loaded_network_is_chosen_for(said, tmp_path):
    xp = pytest.importorskip("array_api_strict")
    write(a_map())
    net = a_network()
    net.feedforward(xp.asarray(X))
    assert net.backend.name.startswith("array_api_strict")
    assert said() == []
    a_network(backend="numpy").save(tmp_path / "model.safetensors")
    NeuralNetwork.load(tmp_path / "model.safetensors", backend="auto").predict(X)
    assert said()[0].startswith("backend auto: numpy; ")


def test_a_step_that_calls_numpy_itself_runs_on_numpy(said):
    write(a_map({"numpy": TORCH, "torch": NUMPY}))
    own = Activation("own", lambda Z: np.sin(Z) + Z, lambda Z, _: np.cos(Z) + np.ones_like(Z))
    net = a_network(activation=own)
    net.train(X, Y, epochs=1, batch_size=16, progress=False)
    assert net.backend.name == "numpy"
    why = "since the step cannot be recorded: it calls np.sin"
    assert said()[0].startswith(f"backend auto: numpy, {why}")
