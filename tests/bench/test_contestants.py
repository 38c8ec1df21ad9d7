"""The contestants: each takes the right step before it is timed, in every kind of cell that it can do."""

import pytest

from chainrule.bench import roster
from chainrule.bench.process import Process
from support.backends import need
from support.extras import need as need_extra

CELLS = ("2-4-1,4", "8-16-16-4,8,adam", "8-16-4,8,float64")
NAMED = [name for name, entry in roster.ROSTER.items() if not entry.is_slow_to_make]


def asked(name, *requests):
    """Return the answers of one process of a contestant, a request after the other."""
    entry = roster.entry(name)
    for library in entry.needs:
        if library == "llvmlite":
            need_extra("jit")
        else:
            need(library)
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


def test_the_extra_jit_is_what_tells_the_two_on_numpy_apart():
    (plain,) = asked("numpy", {"cell": CELLS[0], "operation": "step"})
    (native,) = asked("numpy-jit", {"cell": CELLS[0], "operation": "step"})
    assert plain["note"] == "Replay"
    assert "native" in native["note"]
