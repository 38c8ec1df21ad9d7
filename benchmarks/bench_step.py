"""A training step, on each backend, with the bare products of the step beside it."""

import pytest
from suite.timing import worker_clock

from chainrule.bench import roster

GROUP, OPERATION = roster.BACKEND, "step"
pytestmark = pytest.mark.benchmark(timer=worker_clock)


def bench_step(case, measured):
    measured()
