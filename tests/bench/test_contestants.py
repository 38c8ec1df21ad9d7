"""The contestants: each takes the right step before it is timed, in every kind of cell that it can do."""

import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from threadpoolctl import threadpool_limits

from chainrule.backends.numpy import native_is_at_hand
from chainrule.bench import roster
from chainrule.bench.cell_data import _batches, cell_data
from chainrule.bench.cells import PRESETS, parse, preset
from chainrule.bench.contestants import ours
from chainrule.bench.contestants.products import numpy
from chainrule.bench.measure import limits
from chainrule.bench.measure.check import check
from chainrule.bench.measure.process import Process
from support.engines import blas_threads

CELLS = ("2-4-1,4", "8-16-16-4,8,adam", "8-16-4,8,float64")
NAMED = [
    pytest.param(name, marks=pytest.mark.needs(*entry.needs))
    for name, entry in roster.ROSTER.items()
    if not entry.is_slow_to_make
]


def asked(name, *requests):
    """Return the answers of one process of a contestant, a request after the other."""
    process = Process(threads=1)
    try:
        return [process.ask("make", contestant=name, warm=0.0, block=1e-4, **one) for one in requests]
    finally:
        process.end()


@pytest.mark.parametrize("name", NAMED)
def test_whatever_a_contestant_does_is_right(name):
    others = [operation for operation in roster.entry(name).operations if operation != "step"]
    requests = [{"cell": cell, "operation": "step"} for cell in CELLS]
    requests += [{"cell": CELLS[0], "operation": operation} for operation in others]
    for request, answer in zip(requests, asked(name, *requests), strict=True):
        if answer["status"] == "skipped" and roster.entry(name).device == "cuda":
            pytest.skip(answer["reason"])
        assert answer["status"] == "ok", (request, answer)
        check = answer["check"]
        assert check["exempt"] or check["share_of_tolerance"] <= 1, request


@pytest.mark.needs("jit")
def test_the_extra_jit_is_what_tells_the_two_on_numpy_apart(monkeypatch):
    data = cell_data(parse(CELLS[0]))
    assert type(ours.numpy_jit(data, "step").run.func.__self__).__name__ == "Steps"
    native_is_at_hand.cache_clear()
    monkeypatch.setitem(sys.modules, "llvmlite", None)  # as it does itself, for good
    assert type(ours.numpy(data, "step").run.func.__self__).__name__ == "Replay"
    native_is_at_hand.cache_clear()


@pytest.mark.parametrize(("cell", "threads"), [("64-256-10,16", 1), ("2000-2000-10,16", 2)])
def test_the_bare_products_on_numpy_have_the_threads_of_blas_that_our_step_has(cell, threads):
    with threadpool_limits(2, user_api="blas"):
        products = numpy(cell_data(parse(cell)), "step")
        with products.context():
            assert set(blas_threads()) == {threads}
        assert set(blas_threads()) == {2}


class RerunGraph:
    """A CUDA graph on the CPU: captured steps are taken again by running them, into the same loss."""

    def __init__(self, run, loss):
        self._run, self._loss = run, loss

    def replay(self):
        self._loss.data.copy_(self._run().data)


@pytest.mark.needs("torch")
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", ["one", "all"])
def test_pytorchs_graph_of_whole_steps_is_captured_as_its_notes_say(monkeypatch, cell, steps):
    import torch

    from chainrule.bench.contestants import pytorch

    log, models, Model, captured = [], [], pytorch._Model, pytorch._captured

    class Stream:
        def wait_stream(self, other):
            log.append((self is side, "waits for", other is side))

    side, outside = Stream(), Stream()

    def model_on_the_cpu(data, _device, **how):
        models.append(Model(data, "cpu", **how))
        return models[-1]

    def entered(kind):
        log.append((kind, all(p.grad is None for p in models[0].parameters)))
        return nullcontext()

    def rerun(run, model):
        return RerunGraph(run, loss := captured(run, model)[1]), loss

    fakes = {
        "Stream": lambda: side,
        "current_stream": lambda: outside,
        "stream": lambda _: entered("warm"),
        "CUDAGraph": lambda: None,
        "graph": lambda _: entered("capture"),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(pytorch, "_Model", model_on_the_cpu)
    monkeypatch.setattr(pytorch, "_captured", rerun)
    data = cell_data(parse(cell))
    contestant = pytorch.graph(steps, "eager", data, "step")
    assert log == [
        (True, "waits for", False), ("warm", True), (False, "waits for", True), ("capture", True)
    ]  # fmt: skip
    assert models[0].optimizer.defaults["fused"]
    assert contestant.steps == data.steps
    checked = check(contestant, contestant.run(), data)
    assert checked["wrong"] == ""


def test_passes_on_a_gpu_are_long_enough_that_waiting_once_does_not_decide():
    cells = [cell for name in PRESETS for cell in preset(name, "H=16..16384:x4 B=1..4096:x16")]
    small = [cell for cell in cells if cell.flops < 1e10]
    assert len(small) > 40
    assert min(_batches(cell, "cuda") for cell in small) >= 20
    cell = parse("784-1024-10,512")
    assert cell_data(cell, "cuda").steps > 10 * cell_data(cell).steps


def test_copies_on_a_gpu_are_measured_beyond_its_cache(monkeypatch):
    asked = []
    monkeypatch.setattr(limits.backends, "named", asked.append)
    monkeypatch.setattr(limits, "_products", lambda *_: [(1.0, SimpleNamespace())])
    monkeypatch.setattr(limits, "_moves", lambda _b, ones, _size: [(len(ones), SimpleNamespace())])
    monkeypatch.setattr(limits, "warm_up", lambda *_: limits.Warm(1, 1.0))
    monkeypatch.setattr(limits, "block", lambda *_: 1.0)
    monkeypatch.setattr(limits, "WORKING_SETS", (1 << 14,))
    monkeypatch.setattr(limits, "LARGE_ON_CUDA", 1 << 16)
    assert [size for size, _ in limits.best("torch-cuda").copies] == [1 << 14, 1 << 16]
    assert [size for size, _ in limits.best("numpy").copies] == [1 << 14]
    assert asked == ["torch:cuda", "numpy"]
