"""Memory: what a step holds is what its plan says, and a steady one allocates nothing."""

import pytest

from chainrule.bench.cells import parse
from chainrule.bench.measure.peak_memory import asked

CELL = parse("64-256-10,64")
LAYER = 64 * 256 * 4  # bytes of an activation


def test_a_step_holds_what_its_plan_says_and_keeps_and_allocates_no_array():
    found = asked("numpy", CELL)
    assert found.peak_bytes <= found.arrays <= found.peak_bytes + 4096
    assert found.kept == 0
    assert found.rise < LAYER


def test_a_step_that_allocates_its_layers_is_seen():
    found = asked("notebook", CELL)
    assert found.rise > LAYER
    assert found.peak_bytes is None


def test_what_cannot_run_says_why():
    with pytest.raises(RuntimeError, match=r"no.such:thing in 64-256-10,64: ModuleNotFoundError"):
        asked("no.such:thing", CELL)
