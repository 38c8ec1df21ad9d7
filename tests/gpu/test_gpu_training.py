"""On a GPU: what a person does there."""

import json
import subprocess
import sys

import numpy as np
import pytest

from chainrule import NeuralNetwork
from support.cuda.gpu import cupy_backend

pytestmark = pytest.mark.gpu


@pytest.fixture
def backend():
    return cupy_backend()


def problem(rows=300):
    rng = np.random.default_rng(0)
    return rng.standard_normal((rows, 6)), rng.integers(0, 3, rows)


def net_on(backend, **how):
    kind = {"activation": "relu", "loss": "cross_entropy", "seed": 0, **how}
    return NeuralNetwork(6, (32, 16), 3, backend=backend, **kind)


def losses(backend, **how):
    kinds = {"batch_size": 64, "optimizer": "adam", "validation_fraction": 0.2}
    return net_on(backend).train(*problem(), 8, 0.01, progress=False, **(kinds | how))["validation_loss"]


@pytest.mark.parametrize("shape", [(), (1,), (3, 2)], ids=str)
def test_an_array_keeps_its_shape_and_lies_row_by_row(backend, shape):
    host = np.ones(shape[::-1]).T
    for given in (host, backend.asarray(host).T.T, backend.asarray(host.T).T):
        made = backend.asarray(given)
        assert made.shape == shape
        assert made.flags.c_contiguous


@pytest.mark.parametrize("compiled", [True, False])
def test_training_goes_as_on_the_cpu(backend, compiled):
    np.testing.assert_allclose(losses(backend, compile=compiled), losses("numpy"), rtol=1e-8)


def test_more_data_than_there_is_room_for_are_streamed(backend, monkeypatch):
    monkeypatch.setattr("chainrule.backends.cupy.SHARE_FOR_DATA", 0.0)
    np.testing.assert_allclose(losses(backend), losses("numpy"), rtol=1e-8)
    X, y = problem()
    net = net_on(backend)
    assert net.predict(X).shape == (300, 3)
    assert 0 <= net.evaluate(X, y).accuracy <= 1


def test_too_large_a_batch_is_refused_with_the_largest_that_fits(backend):
    rows = 2 * backend.available_bytes() // (8 * 6) // 100
    net = NeuralNetwork(6, (4096, 4096), 3, loss="cross_entropy", backend=backend, seed=0)
    X, y = np.zeros((rows, 6), dtype=np.float32), np.zeros(rows, dtype=np.int64)
    with pytest.raises(MemoryError, match=r"give a batch_size of at most \d+") as caught:
        net.train(X, y, 1, progress=False)
    fits = int(str(caught.value).rsplit(" ", 1)[-1])
    assert net.train(X[:fits], y[:fits], 1, 0.01, batch_size=fits // 2, progress=False)


@pytest.mark.parametrize("tf32", ["0", "1"])
def test_tf32_is_as_asked_and_said(backend, tf32):
    code = (
        "import numpy as np, cupy; from chainrule import NeuralNetwork\n"
        "rng = np.random.default_rng(0); X = rng.standard_normal((512, 512)); Y = X @ rng.standard_normal((512, 8)) / 20\n"
        "net = NeuralNetwork(512, (512,), 8, activation='tanh', loss='mean_squared_error', backend='cupy', dtype='float32', seed=0)\n"
        "h = net.train(X, Y, 5, 0.1, progress=False)\n"
        "full = NeuralNetwork(512, (512,), 8, activation='tanh', loss='mean_squared_error', seed=0).train(X, Y, 5, 0.1, progress=False)\n"
        "print(h.notes[0]); print(max(abs(a / b - 1) for a, b in zip(h['loss'], full['loss'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(tf32)
    )
    note, error = done.stdout.splitlines()[-2:]
    assert note.endswith("TF32 on (CUPY_TF32=1)" if tf32 == "1" else "TF32 off")
    assert float(error) < (1e-2 if tf32 == "1" else 1e-5)
    info = [sys.executable, "-m", "chainrule", "info", "--json"]
    said = subprocess.run(info, capture_output=True, text=True, check=True, env=environment(tf32))
    (cupy,) = (b for b in json.loads(said.stdout)["backends"] if b["name"] == "cupy")
    assert f"TF32 {'on' if tf32 == '1' else 'off'}" in cupy["devices"][0]


def environment(tf32):
    import os

    return {**os.environ, "CUPY_TF32": tf32}


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_16_bits_train(backend, half):
    history = net_on(backend, dtype=half).train(
        *problem(), 20, 0.01, batch_size=64, optimizer="adam", progress=False
    )
    assert history["loss"][-1] < history["loss"][0]
    assert history.notes[-1] == f"multiplied in {half}, under float32 weights"
