"""Data that stays on the host: the same training, its batches sent one ahead."""

from unittest.mock import Mock

import numpy as np
import pytest

from chainrule import backends
from chainrule.backends.numpy import NumpyBackend
from chainrule.data.streams import Stream
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.optimizers import sgd
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.cuda import stream
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.stream import PLACES, StreamEngine
from chainrule.program.engine import Work
from chainrule.program.kernels import run_all
from chainrule.training.batches import Chance
from chainrule.training.memory import Demand
from support.cuda.work import uploaded
from support.engines import worst
from support.steps import CASES, Case, epochs, made_work, plain, ran
from support.streams import handed_out, plan, rows, windows


@pytest.mark.parametrize(("name", "batch_size"), [("plain", None), ("everything-momentum", 4)])
def test_batches_from_the_host_train_the_same(stand_in, name, batch_size):
    work = made_work(CASES[name], 15, batch_size=batch_size)
    plans = epochs(work, 3)
    wanted = ran(plain(work), plans)
    data = made_work(CASES[name], 15, batch_size=batch_size)
    kept = [part.copy() for part in data.arrays]
    start = uploaded(stand_in, data.progress)
    engine = StreamEngine(Work(data.step, start, data.data, data.bounds, drops=data.drops), stand_in)
    assert worst(ran(engine, plans), wanted) < 32 * np.finfo(np.float64).eps
    assert all(np.array_equal(x, y) for x, y in zip(kept, data.arrays, strict=True))


def test_an_epoch_that_ends_early_waits_for_its_copies(stand_in):
    work = made_work(Case(), 15, batch_size=4)
    on_device = Work(work.step, uploaded(stand_in, work.progress), work.data, work.bounds)
    engine = StreamEngine(on_device, stand_in)
    with pytest.raises(KeyboardInterrupt):
        engine.run(epochs(work, 1)[0], Mock(side_effect=[None, None, KeyboardInterrupt]))
    assert (stand_in.waits, stand_in.under_way, stand_in.fetched) == (1, 0, [])


def test_a_large_batch_is_gathered_by_several_threads(monkeypatch, rng):
    shared = []
    monkeypatch.setattr(stream, "SHARE", 1 << 10)
    monkeypatch.setattr(stream, "run_all", lambda calls: shared.append(len(calls)) or run_all(calls))
    source, rows = rng.standard_normal((500, 7)), rng.permutation(500)[:301]
    out = np.empty((301, 7))
    stream.gather(source, rows, out, 4)
    np.testing.assert_array_equal(out, source[rows])
    assert shared == [4]


def test_windows_of_a_file_train_the_same_as_all_of_it_in_the_same_order(stand_in):
    X, y, _ = rows(103)
    net = architecture((6, (5,), 3), "tanh", None, "cross_entropy")
    step, theta = TrainingStep(net, sgd()), np.linspace(-1, 1, net.layout.total)
    data = windows(Stream(X, y, window=30), net, 8, "float64")
    epoch = plan(data, Chance(0), 8)
    order, whole = handed_out(data, epoch), Batch(X.astype(float), np.eye(3)[y])
    wanted = ran(
        plain(Work(step, Progress(theta.copy(), ()), whole, epoch.bounds)), [epoch._replace(order=order)]
    )
    progress = uploaded(stand_in, Progress(theta, ()))
    engine = StreamEngine(Work(step, progress, data.data, epoch.bounds), stand_in)
    assert worst(ran(engine, data.spans(epoch)), wanted) < 32 * np.finfo(np.float64).eps


def test_the_device_never_holds_more_than_two_batches(stand_in):
    few, many = (made_work(Case(), rows, batch_size=4) for rows in (8, 80))
    taken = []
    for work in (few, many):
        before = sum(nbytes for *_, nbytes in stand_in.allocated)
        on_device = Work(work.step, uploaded(stand_in, work.progress), work.data, work.bounds)
        ran(StreamEngine(on_device, stand_in), epochs(on_device, 1))
        taken.append(sum(nbytes for *_, nbytes in stand_in.allocated) - before)
    assert taken[1] == taken[0]


@pytest.mark.parametrize("batch_size", [400, 800])
def test_the_device_holds_what_the_estimate_says(stand_in, monkeypatch, batch_size):
    monkeypatch.setattr(NumpyBackend, "places", PLACES)
    monkeypatch.setattr(NumpyBackend, "planned", lambda _self, plan: cuda_plan(plan))
    work = made_work(Case(), 800, batch_size=batch_size)
    on_device = Work(work.step, uploaded(stand_in, work.progress), work.data, work.bounds)
    before = sum(nbytes for *_, nbytes in stand_in.allocated)
    StreamEngine(on_device, stand_in)
    taken = sum(nbytes for *_, nbytes in stand_in.allocated) - before
    backend = backends.named("numpy")
    said = Demand(*work.step, "float64", backend, streamed=True).of(batch_size)
    parts_of_sums = taken - said.batch - said.scratch
    assert 0 <= parts_of_sums < 0.1 * taken
