"""Tests that compare clocks run alone, though the others run in several processes at once (pytest-xdist).

A test marked ``timed`` waits until the tests of the other processes have ended, and keeps further ones from
starting until it has ended itself, by a lock that all the others share.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = Path(__file__)  # any files that every process of the run can open
TURN = LOCK.with_name("__init__.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if fcntl is None or not hasattr(item.config, "workerinput"):
        return (yield)
    timed = item.get_closest_marker("timed") is not None
    with ExitStack() as held:
        lock = held.enter_context(LOCK.open("rb"))
        with TURN.open("rb") as turn:
            # In turn: else the others, who share the lock, could keep a timed test out for ever.
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if timed else fcntl.LOCK_SH)
        return (yield)
