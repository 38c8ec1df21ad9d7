"""Training in 16 bits under float32 weights: near the step in float32, on every library that has such numbers."""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.precision import HALVES, loss_scale
from chainrule.mathematics.step import Batch, data_gradient, forward
from support.backends import KINDS, opened

DIGITS = {"float16": 11, "bfloat16": 8}  # binary, of a number
LIBRARIES = [
    pytest.param((kind, half), id=f"{kind.name}-{half}", marks=kind.marks)
    for kind in KINDS
    for half in HALVES
    if kind.name in {"torch", "jax", "cupy"} or (kind.name == "numpy" and half == "float16")
]


@pytest.fixture(params=LIBRARIES)
def place(request):
    """A library, and one of its 16-bit dtypes."""
    kind, half = request.param
    with ExitStack() as stack:
        yield opened(kind, stack), half


def problem(rows=40, targets=2):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((rows, 6))
    return X, np.tanh(X @ rng.standard_normal((6, targets)))


def trained(backend, dtype, **how):
    usual = {"activation": "tanh", "loss": "mean_squared_error", "seed": 0}
    net = NeuralNetwork(6, (16, 16), 2, backend=backend, dtype=dtype, **usual)
    history = net.train(*problem(), epochs=10, learning_rate=0.2, batch_size=16, progress=False, **how)
    return net, np.array(history["loss"]), history


def test_a_step_in_16_bits_is_explained(place):
    net, _, _ = trained(*place)
    steps = [net.explain(*problem(), detail=detail) for detail in ("named", "all")]
    assert all(step["dL_dW1"].array.any() and not step.flags for step in steps)


def test_training_in_16_bits_goes_the_way_of_float32(place):
    backend, half = place
    net, losses, history = trained(backend, half)
    _, full, _ = trained("numpy", "float32")
    assert net.dtype == "float32"
    assert str(net.layers[0].W.dtype).endswith("float32")
    assert not np.array_equal(losses, full)
    np.testing.assert_allclose(losses, full, rtol=8 * 2.0 ** -DIGITS[half])
    assert history.notes[-1] == f"multiplied in {half}, under float32 weights"
    assert history.notes[-1] in str(history)
    X, Y = problem()
    assert str(net.predict(X).dtype).endswith("float32")
    assert net.check_gradients(X, Y).passed


def gradients(rows, scale_of_targets, compute):
    """Return the gradient of a batch in float32 and in 16 bits, on NumPy."""
    net = architecture((6, (16,), 2), "tanh", None, "mean_squared_error")
    X, Y = (part.astype(np.float32) for part in problem(rows))
    rng = np.random.default_rng(5)
    theta = rng.standard_normal(net.layout.total).astype(np.float32) / 4
    near = forward(theta, X, net).A + scale_of_targets * (Y - Y.mean())
    batch = Batch(X, near.astype(np.float32))
    return [data_gradient(theta, batch, replace(net, compute=c))[1] for c in (None, compute)]


def test_the_compiled_step_in_16_bits_is_the_plain_one_to_the_bit():
    np.testing.assert_array_equal(
        trained("numpy", "float16")[1], trained("numpy", "float16", compile=False)[1]
    )


@pytest.mark.parametrize("rows", [16, 4096])
def test_gradients_of_float16_neither_vanish_nor_overflow(rows):
    for errors in (1e-3, 1.0, 30.0):
        full, half = gradients(rows, errors, "float16")
        assert half.dtype == np.float32
        # The outputs are rounded too: an error is not known better than they are.
        limit = 2.0**-8 * max(1.0, 2.0 / errors) if errors < 1 else 2.0**-8
        assert np.abs(half - full).max() <= limit * np.abs(full).max() + 2.0**-9, errors


def test_the_scale_is_a_power_of_two_between_nothing_and_the_divisor():
    for divisor in (1.0, 3.0, 10.0, 4096.0, 65536.0 * 10):
        scale = loss_scale("float16", divisor)
        assert np.log2(scale) % 1 == 0
        assert divisor**0.5 / 2 <= scale <= max(1.0, divisor**0.5 * 2)
        assert loss_scale("bfloat16", divisor) == loss_scale(None, divisor) == 1.0


def test_without_the_scale_a_large_batch_would_lose_its_gradient(monkeypatch):
    full, scaled = gradients(16384, 1e-2, "float16")
    monkeypatch.setattr("chainrule.mathematics.step.loss_scale", lambda *_: 1.0)
    _, bare = gradients(65536, 1e-2, "float16")
    assert np.abs(bare - full).max() > 2 * np.abs(scaled - full).max()


def test_a_saved_network_goes_on_in_16_bits(tmp_path):
    net, _, _ = trained("numpy", "float16")
    net.save(tmp_path / "half.safetensors")
    loaded = NeuralNetwork.load(tmp_path / "half.safetensors")
    assert (loaded.architecture.compute, loaded.dtype) == ("float16", "float32")
    np.testing.assert_array_equal(loaded.layers[0].W, net.layers[0].W)
    doubled = NeuralNetwork.load(tmp_path / "half.safetensors", dtype="float64")
    assert doubled.architecture.compute is None


def test_a_library_without_the_dtype_says_so():
    with pytest.raises(ValueError, match="numpy has no bfloat16; give dtype='float32', or another"):
        NeuralNetwork(2, 3, 1, backend="numpy", dtype="bfloat16")
    import array_api_strict

    with pytest.raises(ValueError, match="has no float16"):
        NeuralNetwork(2, 3, 1, backend=backends.get(array_api_strict), dtype="float16")


@pytest.mark.parametrize("number", [0, 1])
def test_a_layer_that_is_put_in_first_has_the_dtype_that_was_asked_for(number):
    net = NeuralNetwork(6, 16, 2, dtype="float32", seed=0)
    net.set_layer(number, W=np.full(net.layers[number].W.shape, 0.1))
    assert {part.dtype.name for layer in net.layers for part in layer} == {"float32"}
    net.train(*problem(), epochs=1, progress=False)


BFLOAT16_ON_TORCH = """
import sys
{hide}
from chainrule import NeuralNetwork
X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
net = NeuralNetwork(2, 4, 1, backend="torch", dtype="bfloat16", seed=1)
print(*net.train(X, y, epochs=3, progress=False).notes, sep="; ")
if sys.modules["ml_dtypes"]:
    net.save("net.safetensors")
    again = NeuralNetwork.load("net.safetensors", backend="torch")
    assert (again.architecture.compute, again.dtype) == ("bfloat16", "float32")
    assert (again.predict(X) == net.predict(X)).all()
    assert net.memory_estimate(4).total > 0
    assert net.explain(X, y)["dL_dW1"].array.any()
"""


@pytest.mark.needs("torch")
@pytest.mark.parametrize("hide", ["", "sys.modules['ml_dtypes'] = None"], ids=["", "without ml_dtypes"])
def test_bfloat16_trains_on_torch_in_a_process_that_imported_nothing_else(tmp_path, hide):
    code = BFLOAT16_ON_TORCH.format(hide=hide)
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "multiplied in bfloat16, under float32 weights" in run.stdout
    assert ("ml_dtypes" in run.stdout and "it runs as it is written" in run.stdout) == bool(hide)
