"""Extras: what is tested only where an optional library is installed.

A library that is absent skips its tests with the reason. ``REQUIRE_EXTRA=jit`` turns the skips of that
extra into failures, so that a session that is meant to have it cannot pass by skipping.
"""

import os
import shutil
import sys
from importlib.util import find_spec

import pytest

LIBRARIES = {"jit": "llvmlite", "notebook": "nbclient", "plots": "matplotlib"}


def is_there(extra):
    """Return whether the library of an extra is installed."""
    return find_spec(LIBRARIES[extra]) is not None


def need(extra, *, module=False):
    """Skip the test, or with ``module`` the whole file, unless the extra is there; fail where it is required."""
    if is_there(extra):
        return
    missing(extra, f"{LIBRARIES[extra]} is not installed (extra '{extra}')", module=module)


def missing(extra, reason, *, module=False):
    """Skip the test, or with ``module`` the whole file; fail where the extra is required."""
    if extra in os.environ.get("REQUIRE_EXTRA", "").split(","):
        pytest.fail(f"REQUIRE_EXTRA names {extra}, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=module)


def need_compiler():
    """Return the C++ compiler of this machine; skips the test where there is none (extra "c++")."""
    found = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    return found or missing("c++", "no C++ compiler is here")


def _without(monkeypatch, library, room):
    import chainrule

    for name in [n for n in sys.modules if n.partition(".")[0] == library or f"rule.{room}" in n]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(chainrule, room, raising=False)
    monkeypatch.setitem(sys.modules, library, None)


@pytest.fixture
def without_matplotlib(monkeypatch):
    """Make this Python one in which matplotlib is not installed."""
    _without(monkeypatch, "matplotlib", "plots")


@pytest.fixture
def without_scikit_learn(monkeypatch):
    """Make this Python one in which scikit-learn is not installed."""
    _without(monkeypatch, "sklearn", "estimators")
