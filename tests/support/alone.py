"""Tests that measure time run alone, while other tests run in several processes (pytest-xdist).

A test marked ``timed`` takes a lock that all other tests share: it waits until they have ended, and no other test
starts before it ends.
"""

from contextlib import ExitStack

import pytest

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def _lock(item, name):
    """Open a lock file of this run only, because a test may start another run."""
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
            # Take turns, otherwise the other tests, which share the lock, could make a timed test wait forever.
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(lock, fcntl.LOCK_EX if timed else fcntl.LOCK_SH)
        return (yield)
