"""A process of the benchmark whose worker can import the contestants of the tests."""

import os
from pathlib import Path

import pytest

from chainrule.bench.measure.process import Process

TESTS = Path(__file__).parents[1]


@pytest.fixture
def _own_contestants(monkeypatch):
    """Workers find ``support.contestants``."""
    paths = [str(TESTS), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


@pytest.fixture
def process(_own_contestants):
    """A process with a worker in it."""
    made = Process(threads=1)
    yield made
    made.end()
