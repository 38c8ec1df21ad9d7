"""Bias and relu by cuBLASLt at the end of a layer's forward product: against the plain step, and who decides that it is used."""

import gc
import json
from unittest.mock import Mock

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends.numpy import NumpyBackend
from chainrule.program.cuda.device import CannotCaptureError
from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.cuda.stream import StreamEngine
from support.cuda.device import need_device
from support.cuda.work import on_device
from support.engines import worst
from support.steps import Case, epochs, made_work, plain, ran

WIDE = Case((40, 33, 24), "relu", "cross_entropy", "momentum")
LAYERS = ["(12, 40) @ (40, 33) float32 relu", "(12, 33) @ (33, 24) float32 relu"]


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
    cases = [Case((40, 33), kind, "cross_entropy", additions={"compute": half}) for kind, half in kinds]
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
    assert json.loads(cache.read_text()) == {"lt is fast": {name: [1.0, 2.0] for name in LAYERS}}
    assert first.notes == tuple(f"{name}: one call of cuBLASLt; timed 1.0 and 2.0 µs" for name in LAYERS)
    again = device_on_which("plain", "lt is fast")  # the stored times decide
    assert made(again).notes == first.notes
    assert again.timings == 0
    other = device_on_which("plain")
    assert "product and kernel; timed 2.0 and 1.0 µs" in made(other).notes[0]
    assert set(json.loads(cache.read_text())) == {"lt is fast", "plain is fast"}
    cache.write_text("[]")  # damaged: timed again
    assert made(device).notes == first.notes


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
    missing = CannotCaptureError("libcublasLt of CUDA 12 is not found")
    monkeypatch.setattr(device, "cublas_lt", Mock(side_effect=missing))
    assert (
        made(device)
        .notes[0]
        .endswith("float32 relu: product and kernel, since libcublasLt of CUDA 12 is not found")
    )


class OnStandIn(NumpyBackend):
    """NumPy, but that steps run on the stand-in ``device``."""

    def engine(self, work):
        return GraphEngine(on_device(self.device, work), self.device)


def test_the_choice_is_in_the_notes_of_the_history(rng):
    backend = OnStandIn("numpy", backends.named("numpy").xp, device_on_which("lt"))
    net = NeuralNetwork(
        40, 33, 3, activation="relu", loss="cross_entropy", backend=backend, dtype="float32"
    )
    history = net.train(rng.standard_normal((12, 40)), rng.integers(0, 3, 12), 2, 0.1, progress=False)
    assert f"{LAYERS[0]}: one call of cuBLASLt; timed 1.0 and 2.0 µs" in history.notes


def test_only_layers_whose_chain_is_bias_and_relu_are_timed():
    device = device_on_which("lt")
    for case in (Case((40, 33), "tanh"), Case((40, 33), "relu", additions={"dropout": 0.5})):
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
