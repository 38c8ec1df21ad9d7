"""A step within whole epochs of ``train``: batches drawn, losses kept; the epochs' own time by its steps."""

import pytest
from suite.timing import worker_clock

from chainrule.bench import roster

GROUP, OPERATION = roster.BACKEND, "epoch"
pytestmark = pytest.mark.benchmark(timer=worker_clock)


def bench_epoch(case, measured):
    measured()
