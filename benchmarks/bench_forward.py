"""A forward pass over a batch, on each backend, with its bare products beside it."""

import pytest
from suite.timing import worker_clock

from chainrule.bench import roster

GROUP, OPERATION = roster.BACKEND, "forward"
pytestmark = pytest.mark.benchmark(timer=worker_clock)


def bench_forward(case, measured):
    measured()
