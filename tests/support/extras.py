"""Make this Python behave as if an optional library were not installed."""

import sys

import pytest


def _without(monkeypatch, library, room):
    import chainrule

    for name in [n for n in sys.modules if n.partition(".")[0] == library or f"rule.{room}" in n]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(chainrule, room, raising=False)
    monkeypatch.setitem(sys.modules, library, None)


@pytest.fixture
def without_matplotlib(monkeypatch):
    """Make matplotlib impossible to import."""
    _without(monkeypatch, "matplotlib", "plots")


@pytest.fixture
def without_scikit_learn(monkeypatch):
    """Make scikit-learn impossible to import."""
    _without(monkeypatch, "sklearn", "estimators")
