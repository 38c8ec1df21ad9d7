"""Engines: each runs the step that the plain one runs, repeats its bits, and allocates nothing."""

import tracemalloc
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

import chainrule.backends.numpy as room
from chainrule import NeuralNetwork, backends
from chainrule.program import blocks, machine, row_blocks, steps, trace
from chainrule.program.engine import Plain, plan_step
from chainrule.program.replay import Replay
from chainrule.program.row_blocks import Cut
from support import engines
from support.engines import BLOCKED, NAMES, distance, worst
from support.pairs import in_turn
from support.steps import CASES, Case, epochs, made_work, plain, ran

ROWS = 23
# The dtype, the rows and the batch size; the last batches have 3 rows and 1.
RUNS = [("float32", 23, None), ("float64", 23, 10), ("float64", 21, 10)]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


@pytest.mark.parametrize(("case", "how"), in_turn(CASES, RUNS))
def test_replay_is_the_plain_step_bit_for_bit(case, how):
    dtype, rows, batch_size = how
    wanted, changed = ran(plain(work := made_work(case, rows, dtype, batch_size)), epochs(work))
    work = made_work(case, rows, dtype, batch_size)
    losses, got = ran(engines.made("replay", work), epochs(work))
    np.testing.assert_array_equal(losses, wanted)
    for have, want in zip(got, changed, strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("name", BLOCKED)
@pytest.mark.parametrize(("case", "how"), in_turn(CASES, RUNS))
def test_blocks_are_the_plain_step_within_rounding(case, name, how):
    dtype, rows, batch_size = how
    assert distance(name, case, rows, dtype, batch_size) < TOLERANCE[dtype]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_repeats_its_bits_in_parts_too_and_does_not_write_to_the_data(name):
    def run(steps):
        work = made_work(CASES["everything-adamw"], ROWS, "float64", 10)
        before = [part.copy() for part in work.arrays]
        for part in work.arrays:
            part.flags.writeable = False
        parts = [epoch.part(n, n + steps) for epoch in epochs(work, 10) for n in range(0, 3, steps)]
        losses, changed = ran(engines.made(name, work), parts)
        for part, as_it_was in zip(work.arrays, before, strict=True):
            np.testing.assert_array_equal(part, as_it_was)
        return b"".join(part.tobytes() for part in (losses, *changed))

    assert run(3) == run(3) == run(2) == run(1)


@pytest.mark.parametrize("name", NAMES)
def test_another_learning_rate_or_step_needs_no_other_trace(name, monkeypatch):
    plan_step.cache_clear()  # another test may have traced this step
    traced, usual = [], trace.trace
    for module in (trace, blocks):
        monkeypatch.setattr(
            module, "trace", lambda *given, **options: traced.append(given) or usual(*given, **options)
        )
    work = made_work(CASES["everything-adam"], ROWS, "float64", 10)
    engine = engines.made(name, work)
    before = len(traced)
    assert before > 0
    plans = [epoch for rate in (0.1, 1e-3, 0.5) for epoch in epochs(work, 2, rate)]
    got = ran(engine, plans)
    assert len(traced) == before
    wanted = ran(plain(made_work(CASES["everything-adam"], ROWS, "float64", 10)), plans)
    assert worst(got, wanted) < 1e-11


def test_a_batch_size_is_traced_once_for_the_rule_and_the_run(monkeypatch):
    traced, usual = [], trace.trace
    monkeypatch.setattr(
        trace, "trace", lambda *given, **options: traced.append(given) or usual(*given, **options)
    )
    X, Y = np.ones((ROWS, 5)), np.ones((ROWS, 3))
    NeuralNetwork(5, 7, 3, seed=0).train(X, Y, 4, batch_size=10, progress=False)
    assert len(traced) == 2


# -- memory ---------------------------------------------------------------------------------------------


# A ufunc that broadcasts goes through a buffer of NumPy's own, of 8192 items, one in each thread. Any
# array of the mathematics is larger here: (n, 1) of a tall batch, or (P,) of a wide network.
SIZES = {"tall": ((7, 6), 60_000), "wide": ((15_000,), 12)}
BUFFERS = 2 * 8192 * 8 + 50_000
STEADY = {
    "tall-everything": (CASES["everything-adam"], "tall"),
    "wide": (Case((), "softplus", "cross_entropy", "adamw"), "wide"),
    "tall": (Case((), "relu", "half_squared_error", "nesterov"), "tall"),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("case", "size"), list(STEADY.values()), ids=STEADY)
def test_a_steady_step_allocates_no_array_not_even_for_a_moment_and_leaves_none_behind(name, case, size):
    hidden, rows = SIZES[size]
    work = made_work(replace(case, hidden=hidden), rows, "float64", rows // 2)
    engine, plans = engines.made(name, work), epochs(work, 5)
    arrays = [tracemalloc.DomainFilter(inclusive=True, domain=np.lib.tracemalloc_domain)]
    with np.errstate(all="ignore"), engine.at_work():
        for epoch in plans[:2]:
            engine.run(epoch, lambda: None)
        tracemalloc.start()
        try:
            engine.run(plans[2], lambda: None)
            _, peak = tracemalloc.get_traced_memory()
            before = tracemalloc.take_snapshot().filter_traces(arrays)
            for epoch in plans[3:]:
                engine.run(epoch, lambda: None)
            after = tracemalloc.take_snapshot().filter_traces(arrays)
        finally:
            tracemalloc.stop()
    assert peak < BUFFERS
    assert [str(line) for line in after.compare_to(before, "lineno") if line.size_diff > 0] == []


# -- how many threads -----------------------------------------------------------------------------------


@pytest.fixture
def small_steps_are_shared(monkeypatch):
    """Let the rule share out what it would run whole."""
    for name in ("_SHARED_FLOPS", "_SHARED_FLOPS_A_CALL"):
        monkeypatch.setattr(row_blocks, name, 0)
    monkeypatch.setattr(row_blocks, "_SHARED_ROWS", 1)
    monkeypatch.setattr(row_blocks, "_PRODUCTS_ALONE", 10**9)
    monkeypatch.setattr(machine, "l2_bytes", lambda: 2000)


@pytest.fixture
def cuts_made(monkeypatch):
    """A list that gets the cuts of every run."""
    seen, usual = [], room.cuts

    def noted(work, *, native):
        seen.append(usual(work, native=native))
        return seen[-1]

    monkeypatch.setattr(room, "cuts", noted)
    return seen


def trained(**given):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((50, 5)), rng.uniform(size=(50, 3))
    net = NeuralNetwork(5, 7, 3, activation="tanh", seed=1)
    history = net.train(X, y, 5, 0.05, optimizer="adam", progress=False, **given)
    return np.concatenate([np.ravel(part) for layer in net.layers for part in layer]), history["loss"]


@pytest.mark.parametrize(("threads", "is_long"), [(1, True), (2, False), (2, True), (3, False)])
@pytest.mark.usefixtures("small_steps_are_shared")
def test_training_takes_as_many_threads_as_it_is_told(threads, is_long, cuts_made, monkeypatch):
    monkeypatch.setattr(room, "is_native", lambda *_run: is_long)
    monkeypatch.setenv("CHAINRULE_THREADS", "4")
    told, losses = trained(threads=threads)
    monkeypatch.setenv("CHAINRULE_THREADS", str(threads))
    by_variable, _ = trained()
    plain_run, plain_losses = trained(compile=False)
    assert [cut[50].threads for cut in cuts_made] == [threads, threads]
    assert threads == 1 or cuts_made[0][50].blocks > 1
    np.testing.assert_array_equal(told, by_variable)  # the same number of threads: the same bits
    np.testing.assert_allclose(told, plain_run, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-10)


# -- which engine ---------------------------------------------------------------------------------------


WHOLE = Cut(1, 1)


def engine_of(work, monkeypatch, *, is_long=False, native=False, cut=WHOLE):
    monkeypatch.setattr(room, "is_native", lambda *_run: is_long)
    monkeypatch.setattr(room, "native_is_at_hand", lambda: native)
    monkeypatch.setattr(room, "cuts", lambda work, native: dict.fromkeys(work.batch_sizes, cut))  # noqa: ARG005
    return backends.named("numpy").engine(work)


def test_a_few_small_steps_run_as_written_more_are_replayed_and_a_large_one_is_blocked(monkeypatch):
    assert isinstance(engine_of(made_work(Case(), ROWS, steps=3), monkeypatch), Plain)
    work = made_work(Case(), ROWS, steps=4)
    assert isinstance(engine_of(work, monkeypatch), Replay)
    assert isinstance(engine_of(work, monkeypatch, is_long=True), Replay)  # no llvmlite
    assert isinstance(engine_of(work, monkeypatch, native=True), Replay)  # over before it is compiled
    assert isinstance(engine_of(work, monkeypatch, cut=Cut(2, 2)), steps.Steps)


@pytest.mark.needs("jit")
def test_a_long_run_goes_to_native_code_where_it_can_be_made(monkeypatch):
    kernels = engines.native_kernels()
    engine = engine_of(made_work(Case(), ROWS), monkeypatch, is_long=True, native=True)
    assert isinstance(engine, steps.Steps)
    (batch,) = engine._batches.values()
    assert type(batch._kernels) is type(kernels)


@pytest.mark.parametrize("name", BLOCKED)
@pytest.mark.parametrize("whole", [True, False], ids=["one-block", "shared-update"])
def test_one_block_in_one_thread_and_a_long_update_are_the_step_too(name, whole, monkeypatch):
    if whole:
        monkeypatch.setattr(engines, "forced", lambda work: dict.fromkeys(work.batch_sizes, Cut(1, 1)))
    else:
        monkeypatch.setattr(blocks, "SHARED_UPDATE", 10)
    assert distance(name, CASES["everything-adamw"], ROWS) < 1e-12


def test_the_shares_of_an_update_are_all_the_columns_once():
    for columns, count in product((1, 15, 16, 17, 33, 100, 30_000, 30_001), (1, 2, 3, 7)):
        shares = [share for share in blocks.shares(columns, count) if share.stop > share.start]
        assert shares[0].start == 0
        assert shares[-1].stop == columns
        assert all(one.stop == other.start for one, other in pairwise(shares))
        assert all(share.start % 16 == 0 for share in shares)
