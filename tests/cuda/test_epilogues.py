"""Bias and relu by cuBLASLt at the end of a layer's forward product: against the plain step, and who decides that it is used."""

import gc
import json
from unittest.mock import Mock

import numpy as np
import pytest

from chainrule import Activation, NeuralNetwork, backends
from chainrule.backends.numpy import NumpyBackend
from chainrule.mathematics.arrays import namespace
from chainrule.program.cuda.device import CannotCaptureError
from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.cuda.stream import StreamEngine
from support.cuda.device import need_device
from support.cuda.work import on_device
from support.engines import worst
from support.steps import Case, epochs, made_work, plain, ran

WIDE = Case((41, 32, 22), "relu", "cross_entropy", "momentum")
LAYERS = ["(12, 41) @ (41, 32) float32 relu", "(12, 32) @ (32, 22) float32 relu"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of its own, and nobody who decides."""
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("CHAINRULE_EPILOGUE", raising=False)
    return tmp_path / "epilogues.json"


def device_on_which(fast, name=""):
    device = need_device()
    device.fast, device.name = fast, name or f"{fast} is fast"
    return device


def made(device, case=WIDE, rows=12, dtype="float32", engine=GraphEngine, **more):
    work = made_work(case, rows, dtype, **more)
    return engine(on_device(device, work), device)


def test_steps_with_epilogues_are_the_plain_one_and_a_launch_shorter_for_each_layer():
    kinds = [("relu", None), ("identity", "float16"), ("relu", "bfloat16")]
    cases = [Case((40, 32), kind, "cross_entropy", additions={"compute": half}) for kind, half in kinds]
    # All are made before one runs: their kernels are compiled at once.
    pairs = [
        [made(device_on_which(fast), case, batch_size=6) for fast in ("lt", "plain")] for case in cases
    ]
    for (kind, half), case, engines in zip(kinds, cases, pairs, strict=True):
        work = made_work(case, 12, "float32", 6)
        plans = epochs(work)
        lt, apart = (ran(engine, plans) for engine in engines)
        calls = engines[0]._device.blas.lt_call_count
        before = calls()
        engines[0].run(plans[0], lambda: None)
        assert calls() - before == 2  # captured, like all others
        limit = 64 * np.finfo(np.float32).eps if half is None else 2.0**-5
        assert worst(lt, ran(plain(work), plans)) < limit, (kind, half)
        assert worst(lt, apart) < limit, (kind, half)
        nodes = [[len(nodes) for nodes in engine._device.graphs] for engine in engines]
        assert [a - b for a, b in zip(*nodes[::-1], strict=True)] == [2]  # of two steps
        for engine in engines:
            engine._device.check_guards()


def test_each_shape_is_timed_once_and_the_times_are_stored_with_the_device(cache):
    device = device_on_which("lt")
    first = made(device)
    assert device.timings == 4
    keys = [f"lt is fast: {name}, aligned to 256 4 256 32 bytes" for name in LAYERS]  # A, B, out, bias
    assert json.loads(cache.read_text()) == {key: [1.0, 2.0] for key in keys}
    assert first.notes == tuple(f"{name}: one call of cuBLASLt; timed 1.0 and 2.0 µs" for name in LAYERS)
    again = device_on_which("plain", "lt is fast")  # the stored times decide
    assert made(again).notes == first.notes
    assert again.timings == 0
    other = device_on_which("plain")
    assert "product and kernel; timed 2.0 and 1.0 µs" in made(other).notes[0]
    assert {key.split(":")[0] for key in json.loads(cache.read_text())} == {
        "lt is fast",
        "plain is fast",
    }
    for damaged in ([], {"lt is fast": {LAYERS[0]: [1.0, 2.0]}}, {key: [2.0] for key in keys}):
        cache.write_text(json.dumps(damaged))
        device.timings = 0
        assert made(device).notes == first.notes
        assert device.timings == 4


def test_cublaslt_must_be_faster_by_more_than_the_noise_of_a_timing(monkeypatch):
    device = device_on_which("lt")
    monkeypatch.setattr(device, "timed", lambda calls: 0.96 if len(calls) == 1 else 1.0)
    assert "product and kernel; timed 1.0 and 1.0 µs" in made(device).notes[0]


@pytest.mark.parametrize("fast", ["lt", "plain"])
def test_the_variable_decides_without_timing(monkeypatch, cache, fast):
    for asked, words in (("lt", "one call of cuBLASLt"), ("plain", "product and kernel")):
        device = device_on_which(fast)
        monkeypatch.setenv("CHAINRULE_EPILOGUE", asked)
        notes = made(device).notes
        assert notes == tuple(f"{name}: {words}, as CHAINRULE_EPILOGUE asks" for name in LAYERS)
        assert device.timings == 0
        assert not cache.exists()
    monkeypatch.setenv("CHAINRULE_EPILOGUE", "fast")
    with pytest.raises(ValueError, match="CHAINRULE_EPILOGUE must be lt or plain, got 'fast'"):
        made(device_on_which(fast))


def test_a_layer_that_cublaslt_refuses_is_a_product_and_a_kernel_and_the_note_says_why(monkeypatch):
    device, plans = device_on_which("lt"), epochs(made_work(WIDE, 12))
    engine = made(device, dtype="float64")
    assert engine.notes[0].endswith(
        "float64 relu: product and kernel, since cuBLASLt has no algorithm for it"
    )
    assert worst(ran(engine, plans), ran(plain(made_work(WIDE, 12)), plans)) < 1e-13
    (note,) = made(device, Case((40, 33), "relu")).notes
    assert note.endswith("product and kernel, since its bias does not begin at a multiple of 16 bytes")
    monkeypatch.setenv("CHAINRULE_EPILOGUE", "lt")
    for place, reason in (
        ("support.cuda.device.LtProduct.__call__", "cublasLtMatmul failed with cuBLAS's status 15"),
        ("support.cuda.device.StandIn.cublas_lt", "libcublasLt of CUDA 12 is not found"),
    ):
        monkeypatch.setattr(place, Mock(side_effect=CannotCaptureError(reason)))
        assert made(device).notes[0].endswith(f"float32 relu: product and kernel, since {reason}")


def test_an_error_of_the_device_is_not_taken_for_a_refusal(monkeypatch):
    error = RuntimeError("an illegal memory access was encountered")
    monkeypatch.setattr("support.cuda.device.LtProduct.__call__", Mock(side_effect=error))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        made(device_on_which("lt"))


class OnStandIn(NumpyBackend):
    """NumPy, but that steps run on the stand-in ``device``."""

    def engine(self, work):
        return GraphEngine(on_device(self.device, work), self.device)


def test_the_choice_is_in_the_notes_of_the_history(rng):
    backend = OnStandIn("numpy", backends.named("numpy").xp, device_on_which("lt"))
    net = NeuralNetwork(
        41, 32, 3, activation="relu", loss="cross_entropy", backend=backend, dtype="float32"
    )
    history = net.train(rng.standard_normal((12, 41)), rng.integers(0, 3, 12), 2, 0.1, progress=False)
    assert f"{LAYERS[0]}: one call of cuBLASLt; timed 1.0 and 2.0 µs" in history.notes


class Overflowing(GraphEngine):
    """After each epoch, a number of the first layer's weights is NaN."""

    def run(self, epoch, check):
        losses = super().run(epoch, check)
        self.progress.theta[0] = np.nan
        return losses


class OnOverflowing(OnStandIn):
    """NumPy, but that steps run on the stand-in ``device``, where weights become NaN."""

    def engine(self, work):
        return Overflowing(on_device(self.device, work), self.device)


def test_weights_that_become_nan_end_training_though_the_relu_of_cublaslt_hides_them(rng):
    backend = OnOverflowing("numpy", backends.named("numpy").xp, device_on_which("lt"))
    net = NeuralNetwork(
        41, 32, 3, activation="relu", loss="cross_entropy", backend=backend, dtype="float32"
    )
    X, y = rng.standard_normal((12, 41)), rng.integers(0, 3, 12)
    before = net.predict(X)
    with pytest.raises(FloatingPointError, match="diverged in epoch 1: the loss became nan"):
        net.train(X, y, 5, 0.1, batch_size=6, progress=False)
    np.testing.assert_array_equal(net.predict(X), before)


def _own_relu(Z):
    xp = namespace(Z)
    return xp.maximum(Z, xp.zeros_like(Z))


def _slope(Z, _):
    return namespace(Z).astype(Z > 0, Z.dtype)


def test_only_layers_whose_chain_is_bias_and_relu_are_timed():
    device, reads_Z = device_on_which("lt"), Activation("own", _own_relu, _slope)
    for case in (
        Case((40, 33), "tanh"),
        Case((40, 33), reads_Z),
        Case((40, 33), "relu", additions={"dropout": 0.5}),
    ):
        assert made(device, case).notes == ()
    assert device.timings == 0


def test_streams_have_them_too():
    device, work = device_on_which("lt"), made_work(WIDE, 12, "float32", 5)
    on = on_device(device, work)
    host = type(on)(on.step, on.progress, work.data, work.bounds)
    engine, plans = StreamEngine(host, device), epochs(work)
    assert len(engine.notes) == 4  # of whole batches and of the ragged one
    assert worst(ran(engine, plans), ran(plain(made_work(WIDE, 12, "float32", 5)), plans)) < 1e-5


def test_descriptors_are_destroyed_with_the_engine():
    device = device_on_which("lt")
    gc.collect()
    before = device.blas.lt_descriptors()
    engine = made(device)
    assert device.blas.lt_descriptors() > before
    del engine
    gc.collect()
    assert device.blas.lt_descriptors() == before
