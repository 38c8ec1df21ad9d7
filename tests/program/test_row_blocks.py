"""The rule for row blocks: from shapes, cores and cache alone."""

import math
import time
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.backends.plans import step_plan
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.optimizers import sgd
from chainrule.mathematics.step import Batch, Progress
from chainrule.program import machine, row_blocks
from chainrule.program.engine import Work
from chainrule.program.row_blocks import Cut, cut, one_core
from chainrule.program.steps import is_native, product_threads
from support.steps import Case

MB = 1 << 20


@pytest.fixture(autouse=True)
def _two_megabytes(monkeypatch):
    monkeypatch.setattr(machine, "l2_bytes", lambda: 2 * MB)


def planned(sizes, rows, dtype="float32"):
    """Return the program of a step of SGD on a sigmoid network, of these widths."""
    first, *hidden, last = sizes
    return step_plan(architecture((first, tuple(hidden), last)), sgd(), rows, dtype).program


def chosen(sizes, rows, threads=2, *, native=True):
    return cut(planned(sizes, rows), rows, threads, native=native)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2000))
def test_the_blocks_are_all_the_rows_and_differ_by_one_at_most(threads, blocks, rows):
    sizes = Cut(threads, blocks).sizes(rows)
    assert len(sizes) == threads * blocks
    assert sum(sizes) == rows
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] - sizes[-1] <= 1


SMALL = [((2, 4, 1), 4), ((64, 16, 10), 32), ((64, 256, 10), 16), ((64, 64, 10), 64)]


def test_small_steps_run_whole_in_one_thread_and_few_rows_are_not_shared():
    for (sizes, rows), native in product(SMALL, (True, False)):
        assert chosen(sizes, rows, threads=16, native=native) == Cut(1, 1)
    assert chosen((4096, 4096, 4096), 47, threads=2) == Cut(1, 1)
    assert chosen((4096, 4096, 4096), 48, threads=2).threads == 2


def test_products_keep_to_one_core_where_its_cache_holds_the_weights_or_there_is_one_row():
    for nbytes, rows in ((MB, {1, 4, 47}), (3 * MB, {1}), (4096, {1, 4, 47, 48, 400})):
        theta = np.zeros(nbytes // 4, np.float32)
        assert {n for n in (1, 4, 47, 48, 400, 500) if one_core(theta, n)} == rows


def test_a_run_that_is_over_in_a_moment_leaves_the_threads_of_blas_alone(monkeypatch):
    monkeypatch.delenv("CHAINRULE_THREADS", raising=False)
    assert product_threads(work((4,), 10, steps=10)) is None
    assert product_threads(work((4,), 10, steps=100_000)) == 1
    assert product_threads(work((2000, 2000), 10, steps=100_000)) is None


def test_interpreted_blocks_are_taken_later_and_not_where_the_products_are_all():
    assert chosen((64, 256, 10), 256).threads == 2
    assert chosen((64, 256, 10), 256, native=False) == Cut(1, 1)
    assert chosen((64, 1024, 10), 4096, native=False).threads == 2
    assert chosen((2048, 2048, 2048), 1024, native=False) == Cut(1, 1)
    assert chosen((2048, 2048, 2048), 1024).threads == 2


def test_the_rows_of_a_block_fill_half_of_the_second_level_cache():
    how = chosen((64, 1024, 10), 16384)
    row_bytes = row_blocks._row_bytes(planned((64, 1024, 10), 16384), 16384)
    assert how.threads == 2
    assert how.sizes(16384)[0] * row_bytes == pytest.approx(MB, rel=0.1)
    assert row_bytes == 4 * (64 + 1024 + 10 + 1024)  # samples, two layers, the hidden delta


def test_no_block_is_so_small_that_the_weights_outweigh_it_and_none_is_without_rows(monkeypatch):
    monkeypatch.setattr(machine, "l2_bytes", lambda: 1)
    program = planned((784, 512, 10), 8192)
    rows = chosen((784, 512, 10), 8192).sizes(8192)[0]
    assert rows * row_blocks._row_bytes(program, 8192) >= 0.9 * program.inputs[0].nbytes / 2
    for sizes, rows in product(((1, 500_000, 1), (1, 30_000, 1), (3, 40_000, 2)), (48, 49, 51, 1000)):
        assert chosen(sizes, rows).sizes(rows)[-1] >= 1


def test_equal_shapes_give_equal_cuts_and_timing_has_no_part_in_it(monkeypatch):
    for clock in ("perf_counter", "perf_counter_ns", "monotonic", "time", "process_time"):
        monkeypatch.delattr(time, clock)
    for sizes, rows in (((64, 1024, 10), 4096), ((784, 128, 10), 128), ((64, 256, 10), 256)):
        for native in (True, False):
            assert len({chosen(sizes, rows, 4, native=native) for _ in range(3)}) == 1


@given(st.integers(1, 5000), st.integers(1, 64), st.booleans())
@settings(max_examples=20)
def test_a_cut_takes_no_more_threads_than_it_may_and_leaves_none_without_rows(rows, threads, native):
    how = chosen((64, 300, 10), rows, threads, native=native)
    assert 1 <= how.threads <= threads
    assert min(how.sizes(rows)) >= 1


# -- whether a run is long ------------------------------------------------------------------------------


class NoArray:
    """An array that has a shape and a dtype, and nothing that could be read or timed."""

    def __init__(self, *shape, dtype="float32"):
        self.shape, self.dtype, self.size = shape, dtype, math.prod(shape)
        self.nbytes = self.size * np.dtype(dtype).itemsize


def work(hidden, rows, steps):
    step = Case(hidden=hidden).step
    data = Batch(NoArray(rows, 5), NoArray(rows, 3))
    return Work(step, Progress(NoArray(step.net.layout.total), ()), data, [(0, rows)], steps=steps)


def is_long(work):
    return is_native(work.plan(max(work.batch_sizes)).program, work.steps)


def test_whether_a_run_is_long_depends_on_its_shapes_and_steps_alone():
    assert not is_long(work((4,), 10, steps=100))
    assert is_long(work((4,), 10, steps=1_000_000))
    assert is_long(work((1000, 1000), 10_000, steps=100))
    assert not is_long(work((1000, 1000), 100, steps=1))
    once = [steps for steps in (2**n for n in range(24)) if is_long(work((50,), 64, steps))]
    assert once == [2**n for n in range(24) if 2**n >= once[0]]
