"""Persistent kernels: a small network trained by one block, end to end on the stand-in, against the plain step."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends, train_many
from chainrule.backends.numpy import NumpyBackend
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.optimizers import Optimizer
from chainrule.program.chains import HALVES
from chainrule.program.cuda.device import CannotCaptureError
from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.cuda.persistent import persistent
from chainrule.program.cuda.persistent_engine import (
    PersistentEngine,
    PersistentPack,
    fastest,
    side_by_side,
)
from support.cuda.device import need_device
from support.cuda.work import on_device
from support.engines import worst
from support.steps import CASES, Case, epochs, host, made_work, plain, ran

EPSILON = np.finfo(np.float64).eps
SMALL = "chainrule.program.cuda.persistent_engine.LAUNCH_MICROSECONDS"


def made(device, case, rows=11, dtype="float64", batch_size=None, **more):
    engine = fastest(on_device(device, made_work(case, rows, dtype, batch_size, **more)), device)
    assert isinstance(engine, PersistentEngine)
    return engine


def bits(losses, changed):
    return [part.tobytes() for part in (losses, *changed)]


def test_every_step_is_the_plain_one():
    engines = []
    for (name, case), batch_size in zip(CASES.items(), cycle((4, None)), strict=False):
        device, work = need_device(), made_work(case, 12, batch_size=batch_size)
        engines.append((name, work, made(device, case, 12, batch_size=batch_size), device))
    for name, work, engine, device in engines:  # all are made: their kernels are compiled at once
        plans = epochs(work)
        # Adam divides by the root of what may be a rounding error alone.
        limit = (2**10 if "adam" in name else 16) * EPSILON
        assert worst(ran(engine, plans), ran(plain(work), plans)) < limit, name
        device.check_guards()


def test_wide_layers_long_sums_and_16_bits(stand_in):
    wide = Case(
        (12, 130), "tanh", "squared_error", "momentum", weighted=True, additions={"clip_norm": 0.5}
    )
    deep = Case((32, 16), "tanh", "cross_entropy")
    halves = [replace(deep, additions={"compute": half}) for half in HALVES]
    runs = [(wide, "float64"), (deep, "float32"), *((half, "float32") for half in halves)]
    engines = [made(stand_in, case, 36, dtype) for case, dtype in runs]
    works = [made_work(case, 36, dtype) for case, dtype in runs[:2]]
    wide, deep, *halves = [ran(engine, epochs(works[0])) for engine in engines]
    plain_wide, plain_deep = [ran(plain(work), epochs(work)) for work in works]
    assert worst(wide, plain_wide) < 64 * EPSILON
    assert worst(deep, plain_deep) < 64 * np.finfo(np.float32).eps
    for half in halves:
        assert 0 < worst(half, plain_deep) < 2.0**-6


def test_neither_the_order_of_threads_nor_how_an_epoch_is_cut_changes_a_bit(monkeypatch):
    case, found = CASES["everything-adam"], []
    work = made_work(case, 31, batch_size=3)
    for backwards, steps, microseconds in ((False, 11, 5000), (True, 4, 5000), (False, 11, 7)):
        monkeypatch.setattr(SMALL, microseconds)
        parts = [
            epoch.part(n, min(n + steps, 11)) for epoch in epochs(work) for n in range(0, 11, steps)
        ]
        found.append(bits(*ran(made(need_device(backwards=backwards), case, 31, batch_size=3), parts)))
    assert found[0] == found[1] == found[2]


def test_an_epoch_is_a_launch_for_each_batch_size_and_two_copies(stand_in):
    case = CASES["everything-adam"]
    engine, plans = made(stand_in, case, 31, batch_size=3), epochs(made_work(case, 31, batch_size=3))
    ran(engine, plans[:1])

    def counts():
        return (
            stand_in.launches,
            stand_in.copies,
            stand_in.waits,
            len(stand_in.allocated),
            stand_in.uploads,
        )

    before = counts()
    ran(engine, plans[1:])
    assert [new - old for new, old in zip(counts(), before, strict=True)] == [
        4,
        4,
        4,
        0,
        0,
    ]  # of two epochs
    assert not stand_in.graphs


def test_epochs_of_one_batch_run_in_one_launch_and_long_epochs_in_several(stand_in, monkeypatch):
    case = Case((), "sigmoid", "mean_squared_error")
    work, engine = made_work(case, 4), made(stand_in, case, 4, steps=10**6)
    assert 1000 < engine.at_once <= 4096
    plan = epochs(work, 1)[0]._replace(bounds=[*work.bounds] * 30, rates=np.full(30, 0.1))
    assert worst(ran(engine, [plan]), ran(plain(work), [plan])) < 16 * EPSILON
    assert stand_in.launches == 1
    engine, asked = made(stand_in, case, 30, batch_size=1), []
    monkeypatch.setattr(SMALL, 10 * engine.kernels[1].microseconds)
    engine.run(epochs(engine.work, 1)[0], lambda: asked.append(stand_in.launches))
    assert (asked, stand_in.most_under_way) == ([1, 2, 3], 2)  # Ctrl-C is heard before each of them


def test_small_networks_run_in_one_block_by_their_numbers_alone(stand_in):
    def fits(hidden, rows, optimizer="adam", shared_bytes=232448, dtype="float32"):
        work = made_work(Case(hidden, "relu", "cross_entropy", optimizer), rows, dtype)
        return persistent(work, rows, shared_bytes) is not None

    assert fits((4,), 4)
    assert fits((64, 64), 64)
    assert not fits((128, 128), 256)  # more than 3 MFLOP
    assert not fits((170, 170), 8)  # more than 227 KB
    assert fits((64, 64), 64, "sgd", 115_000)
    assert not fits((64, 64), 64, "adam", 115_000)
    stand_in.shared_bytes = 1000
    engine = fastest(on_device(stand_in, made_work(Case(), 11)), stand_in)
    assert isinstance(engine, GraphEngine)


@pytest.mark.parametrize(("rows", "blocks"), [(128, 1), (512, 4), (511, 1), (1024, 8), (4096, 16)])
def test_the_numbers_alone_choose_how_many_blocks_a_network_has(stand_in, rows, blocks):
    work = made_work(Case((64,), "relu", "cross_entropy"), rows, "float32")
    engine = fastest(on_device(stand_in, work), stand_in)
    assert engine.kernels[rows].text.blocks == blocks


CLUSTERS = {
    64: Case((16, 12), "tanh", "cross_entropy", "adam", True),
    128: Case((16,), "relu", "squared_error"),
    24: Case((70,), "relu", "cross_entropy", additions={"compute": "bfloat16"}),
}


def test_larger_batches_are_divided_among_the_blocks_of_a_cluster(monkeypatch):
    monkeypatch.setattr("chainrule.program.cuda.persistent.MOST_FLOPS", 50_000)
    monkeypatch.setattr("chainrule.program.cuda.persistent_engine.FLOPS_A_BLOCK", 1)
    runs = []
    for (batch_size, case), dtype in zip(
        CLUSTERS.items(), ("float64", "float64", "float32"), strict=True
    ):
        rows = 80 if batch_size == 64 else batch_size  # one has a ragged batch, for one block
        engines = [made(need_device(backwards=b), case, rows, dtype, batch_size) for b in (False, True)]
        runs.append((made_work(case, rows, dtype, batch_size), engines))
        assert engines[0].kernels[batch_size].text.blocks == (8 if batch_size == 24 else 16)
    for work, engines in runs:  # all are made: their kernels are compiled at once
        forwards, backwards = (ran(engine, epochs(work)) for engine in engines)
        assert bits(*forwards) == bits(*backwards)
        limit = 2.0**-6 if work.carried[0].dtype == np.float32 else 64 * EPSILON
        assert worst(forwards, ran(plain(work), epochs(work))) < limit
        for engine in engines:
            engine.device.check_guards()
            assert engine.device.launches == 3 * len(work.batch_sizes)


def test_networks_side_by_side_on_clusters_have_the_bits_of_each_alone(stand_in, monkeypatch):
    monkeypatch.setattr("chainrule.program.cuda.persistent.MOST_FLOPS", 50_000)
    monkeypatch.setattr("chainrule.program.cuda.persistent_engine.FLOPS_A_BLOCK", 1)
    works = [made_work(CLUSTERS[64], 144, batch_size=64) for _ in range(2)]
    works[1].progress.theta[...] *= 2
    (plan,) = epochs(works[0], 1)
    alone = [ran(fastest(on_device(stand_in, work), stand_in), [plan]) for work in works]
    # Two whole batches and the ragged one, each for both networks. If both clusters do not run at once, a launch of
    # the time that two steps take has one.
    for at_once, launches in ((2, 2), (1, 3)):
        pack = side_by_side([on_device(stand_in, work) for work in works], stand_in)
        monkeypatch.setattr(SMALL, 2 * pack.engines[0].kernels[64].microseconds)
        stand_in.clusters, before = at_once, stand_in.launches
        losses = pack.run(dict.fromkeys(pack.engines, plan), lambda: None)
        assert stand_in.launches - before == launches
        for engine, wanted in zip(pack.engines, alone, strict=True):
            theta, state = engine.progress
            assert bits(losses[engine], [host(part) for part in (theta, *state)]) == bits(*wanted)


def test_a_device_without_room_for_a_cluster_takes_a_smaller_one_or_runs_graphs(monkeypatch, caplog):
    monkeypatch.setattr("chainrule.program.cuda.persistent.MOST_FLOPS", 50_000)
    monkeypatch.setattr("chainrule.program.cuda.persistent_engine.FLOPS_A_BLOCK", 1)
    work = made_work(CLUSTERS[128], 128)

    def engine(refused, most_blocks=16, work=work):
        device = need_device()
        device.most_blocks, compile_kernel = most_blocks, device.kernel

        def kernel(text):
            if text.blocks in refused:
                msg = "the device has no room for it"
                raise CannotCaptureError(msg)
            return compile_kernel(text)

        monkeypatch.setattr(device, "kernel", kernel)
        return fastest(on_device(device, work), device)

    assert engine([16]).kernels[128].text.blocks == 8
    assert "no kernel of 16 blocks for a batch of 128 rows: the device has no room" in caplog.text
    assert isinstance(engine([16, 8, 4, 2]), GraphEngine)
    assert isinstance(engine([], most_blocks=1), GraphEngine)  # older than sm_90
    for addition in ({"dropout": 0.5}, {"clip_norm": 0.5}, {"weight_decay": 1e-3}):
        other = replace(CLUSTERS[128], additions=addition)
        assert isinstance(engine([], work=made_work(other, 128)), GraphEngine)
    # Updates that use the number of the parameters, or their places.
    for divisor in (
        lambda x: x.shape[-1],
        lambda x: 1 + namespace(x).arange(x.shape[-1], dtype=x.dtype),
    ):

        def update(g, state, theta, rate, divisor=divisor):
            return theta - rate * g / divisor(theta), state

        other = replace(CLUSTERS[128], optimizer=Optimizer("own", lambda _theta: (), update))
        assert isinstance(engine([], work=made_work(other, 128)), GraphEngine)


def test_networks_side_by_side_have_the_bits_of_each_alone_and_share_launches(stand_in):
    """Of three with one step and rates, orders and keys of their own, one stops early; a fourth has another step, without dropout."""
    cases = [CASES["everything-adam"]] * 3 + [
        replace(CASES["everything-adam"], weighted=True, optimizer="sgd", additions={})
    ]
    works = [made_work(case, 14, batch_size=4) for case in cases]
    plans = []
    for number, work in enumerate(works):
        work.progress.theta[...] *= 1 + number
        rng = np.random.default_rng(number)
        own = epochs(work, 3, rate=0.01 * (1 + number))
        keys = [number + plan.keys if work.drops else None for plan in own]
        plans.append(
            [p._replace(order=rng.permutation(14), keys=k) for p, k in zip(own, keys, strict=True)]
        )
    alone = [fastest(on_device(stand_in, work), stand_in) for work in works]
    wanted = [
        bits(*ran(engine, mine[: 2 if n == 1 else 3]))
        for n, (engine, mine) in enumerate(zip(alone, plans, strict=True))
    ]
    engines = [fastest(on_device(stand_in, work), stand_in) for work in works]
    pack, losses = PersistentPack(engines), {engine: [] for engine in engines}
    for turn in range(3):
        before = stand_in.launches
        going = {engine: plans[n][turn] for n, engine in enumerate(engines) if turn < 2 or n != 1}
        for engine, some in pack.run(going, lambda: None).items():
            losses[engine].extend(some)
        assert (
            stand_in.launches - before == 4
        )  # for each of two kinds of step the whole batches and the ragged one
    for engine, bits_alone in zip(engines, wanted, strict=True):
        theta, state = engine.progress
        assert bits(np.array(losses[engine]), [host(part) for part in (theta, *state)]) == bits_alone


def test_the_orders_of_many_networks_take_a_bounded_memory(stand_in, monkeypatch):
    monkeypatch.setattr("chainrule.program.cuda.persistent_engine.MOST_ROWS_TOGETHER", 100)
    for count, at_once in ((1, 7), (3, 2), (8, 1)):
        works = [made_work(CASES["plain"], 14, batch_size=4, steps=10**6) for _ in range(count)]
        pack = side_by_side([on_device(stand_in, work) for work in works], stand_in)
        assert {engine.at_once for engine in pack.engines} == {at_once}


class SideBySide(NumpyBackend):
    """NumPy, but that steps run on the stand-in of ``device``."""

    def engine(self, work):
        return fastest(on_device(self.device, work), self.device)

    def pack(self, works, threads):
        return side_by_side([on_device(self.device, work) for work in works], self.device, threads)


def test_many_networks_take_the_launches_of_one_and_have_the_bits_of_each_alone(monkeypatch):
    """Those alone have a callback, so that their epochs run one by one."""
    monkeypatch.setattr("chainrule.program.cuda.persistent_engine.ROWS_OF_A_THREAD", 1)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((20, 4)), rng.integers(0, 3, 20)
    launches, found = [], []
    for together in (True, False):
        device = need_device()
        backend = SideBySide("numpy", backends.named("numpy").xp, device)
        kind = {"activation": "relu", "loss": "cross_entropy", "backend": backend}
        networks = [NeuralNetwork(4, 8, 3, seed=seed, **kind) for seed in range(5)]
        how, rates = {"batch_size": 8, "optimizer": "adam"}, [0.01 * (1 + n) for n in range(5)]
        if together:
            histories = train_many(networks, X, y, 3, rates, threads=2, **how)
            assert not any("after the other" in note for history in histories for note in history.notes)
        else:
            how |= {"callbacks": [lambda _record: None], "progress": False}
            histories = [
                net.train(X, y, 3, rate, **how) for net, rate in zip(networks, rates, strict=True)
            ]
        launches.append(device.launches)
        losses = [history["loss"] for history in histories]
        found.append((losses, [net.predict(X).tobytes() for net in networks]))
    assert launches == [3 * 2, 5 * 3 * 2]  # of three epochs of whole batches and a ragged one
    assert found[0] == found[1]
