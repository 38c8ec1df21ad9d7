"""The bare products: the matrix products of a step and nothing else, in each library that a backend computes with."""

import pytest
from suite.timing import worker_clock

from chainrule.bench import roster

GROUP, OPERATION = roster.PRODUCTS, "step"
pytestmark = pytest.mark.benchmark(timer=worker_clock)


def bench_products(case, measured):
    measured()
