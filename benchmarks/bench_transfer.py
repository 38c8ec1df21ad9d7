"""A batch gathered on the host and copied to where it is trained on; on the CPU a copy, no more."""

import pytest
from suite.timing import worker_clock

from chainrule.bench import roster

GROUP, OPERATION = roster.BACKEND, "transfer"
pytestmark = pytest.mark.benchmark(timer=worker_clock)


def bench_transfer(case, measured):
    measured()
