"""The same training step, as others do it: by default, and as somebody writes it who wants it fast."""

import pytest
from suite.timing import worker_clock

from chainrule.bench import roster

GROUP, OPERATION = roster.PEER, "step"
pytestmark = pytest.mark.benchmark(timer=worker_clock)


def bench_peers(case, measured):
    measured()
