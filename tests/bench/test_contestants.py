"""The contestants: each takes the right step before it is timed, in every kind of cell that it can do."""

import sys

import pytest
from threadpoolctl import threadpool_limits

from chainrule.backends.numpy import native_is_at_hand
from chainrule.bench import roster
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import parse
from chainrule.bench.contestants import ours
from chainrule.bench.contestants.products import numpy
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
