"""Fixtures and hooks of all tests, which are defined in ``support/``."""

import os
import signal

# Before JAX is imported: it computes in float64 only with this variable.
os.environ.setdefault("JAX_ENABLE_X64", "1")
# JAX would take three quarters of a GPU's memory at once, and leave too little for the other libraries.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# Before SciPy is imported: scikit-learn's check of array libraries needs it.
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

# The same examples in every run, and no time limits.
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


# Processes in the background of a shell ignore Ctrl-C, but tests of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)
