"""What all tests share. The fixtures and hooks themselves stand in ``support/``, one theme a file."""

import os
import signal

# Before anything imports JAX: it computes float64 only when told so.
os.environ.setdefault("JAX_ENABLE_X64", "1")
# And before anything imports SciPy: scikit-learn's check of array libraries runs only with it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import pytest
from hypothesis import HealthCheck, settings

from support.alone import pytest_runtest_protocol  # noqa: F401
from support.backends import backend, reference  # noqa: F401
from support.browser import browser  # noqa: F401
from support.commands import chainrule, flowers, learned, models  # noqa: F401
from support.cuda.device import stand_in  # noqa: F401
from support.cuda.gpu import gpu  # noqa: F401
from support.data import rng  # noqa: F401
from support.extras import without_matplotlib, without_scikit_learn  # noqa: F401
from support.needs import (  # noqa: F401
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_runtest_setup,
    pytest_terminal_summary,
)
from support.site import site  # noqa: F401
from support.workers import _own_contestants, process  # noqa: F401

# The same examples at every run, and no verdict by the clock of a busy machine.
settings.register_profile(
    "repeatable",
    max_examples=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _no_backend_from_outside(monkeypatch):
    monkeypatch.delenv("CHAINRULE_BACKEND", raising=False)
    monkeypatch.setenv("CHAINRULE_EPILOGUE", "plain")  # else layers are timed, and the times stored


# A shell has what it runs in the background ignore Ctrl-C, which tests of Ctrl-C would wait for in vain.
signal.signal(signal.SIGINT, signal.default_int_handler)
