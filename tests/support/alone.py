"""Tests that compare clocks run alone, though the others run in several processes at once (pytest-xdist).

A test marked ``timed`` waits until the tests of the other processes have ended, and keeps further ones from
starting until it has ended itself, by a lock that all the others share.
"""

from contextlib import ExitStack

import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def _lock(item, name):
    """The file of a lock that only the processes of this run share: a test may start a run of its own."""
    folder = item.config._tmp_path_factory.getbasetemp().parent  # as pytest-xdist's documentation has it
    return (folder / f"{name}.lock").open("ab")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    if fcntl is None or not hasattr(item.config, "workerinput"):
        return (yield)
    timed = item.get_closest_marker("timed") is not None
    with ExitStack() as held:
        lock = held.enter_context(_lock(item, "all"))
        with _lock(item, "turn") as turn:
            # In turn: else the others, who share the lock, could keep a timed test out for ever.
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if timed else fcntl.LOCK_SH)
        return (yield)
