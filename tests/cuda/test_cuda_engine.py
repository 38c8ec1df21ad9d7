"""The engine for CUDA, end to end: the generated kernels, run on the CPU, against the plain step."""

from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends.numpy import NumpyBackend
from chainrule.program.chains import HALVES
from chainrule.program.cuda.batch import BoundBatch, is_product
from chainrule.program.cuda.engine import MOST_STEPS, GraphEngine, chunks
from chainrule.program.cuda.feed import FeedShape
from chainrule.program.cuda.loop import THIN
from chainrule.program.cuda.planning import cuda_plan
from chainrule.program.cuda.source import write
from chainrule.program.engine import Epoch
from chainrule.training.memory import Demand
from support.compare import relative_error
from support.cuda.device import need_device
from support.cuda.work import on_device, trained
from support.engines import worst
from support.pairs import all_pairs
from support.steps import CASES, Case, epochs, made_work, plain, ran

EPSILON = np.finfo(np.float64).eps


@pytest.mark.parametrize("few", [0, THIN], ids=["cublas", "thin"])
def test_every_step_is_the_plain_one(monkeypatch, few):
    monkeypatch.setattr(
        "chainrule.program.cuda.grouping.THIN", few
    )  # who makes products with a few columns
    engines = []
    for (name, case), batch_size in zip(CASES.items(), cycle((None, 4)), strict=False):
        device, work = need_device(), made_work(case, 11, batch_size=batch_size)
        engine = GraphEngine(on_device(device, made_work(case, 11, batch_size=batch_size)), device)
        engines.append((name, work, engine, device))
    for name, work, engine, device in engines:  # all are made: their kernels are compiled at once
        plans = epochs(work)
        # Adam divides by the root of what may be a rounding error alone.
        limit = (2**10 if "adam" in name else 16) * EPSILON
        assert worst(ran(engine, plans), ran(plain(work), plans)) < limit, name
        device.check_guards()


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_many_blocks_and_wide_rows_add_up(stand_in, loss):
    case = Case((70, 130), "gelu", loss, "momentum", weighted=True, additions={"clip_norm": 0.5})
    got, wanted = trained(stand_in, case, rows=300, count=2)
    assert worst(got, wanted) < 64 * EPSILON


# As many terms as two packs of a lane and more; an odd number; and of a transposed matrix, in the backward pass.
@pytest.mark.parametrize(
    ("hidden", "multiprocessors", "dtype"),
    all_pairs([(1100, 16, 33), (16, 600)], [2, 132], ["float64", "float32"]),
)
def test_products_with_few_columns_and_many_terms(hidden, multiprocessors, dtype):
    case, device = Case(hidden, "tanh", "cross_entropy"), need_device(multiprocessors=multiprocessors)
    assert worst(*trained(device, case, rows=70, count=2, dtype=dtype)) < 16 * np.finfo(dtype).eps
    device.check_guards()


def test_the_order_in_which_threads_run_changes_no_bit():
    for case in (CASES["everything-adam"], Case((600, 20), "tanh", "cross_entropy")):
        bits = []
        for backwards in (False, True):
            losses, changed = trained(need_device(backwards=backwards), case, rows=70)[0]
            bits.append([part.tobytes() for part in (losses, *changed)])
        assert bits[0] == bits[1]


def test_from_the_third_epoch_on_no_buffer_is_made_and_all_is_launches_of_graphs(stand_in):
    work = made_work(CASES["everything-adam"], 11, batch_size=4)
    engine = GraphEngine(on_device(stand_in, work), stand_in)
    plans = epochs(work, 4)
    ran(engine, plans[:2])
    before = len(stand_in.allocated), stand_in.uploads, stand_in.launches, len(stand_in.graphs)
    replays = stand_in.replays
    ran(engine, plans[2:])
    assert (len(stand_in.allocated), stand_in.uploads, stand_in.launches, len(stand_in.graphs)) == before
    assert len(stand_in.graphs) == 2  # two whole batches; the ragged one
    assert stand_in.replays - replays == 2 * 2


def test_epochs_that_nobody_watches_are_launched_together_and_two_graphs_at_most_are_under_way(stand_in):
    wanted, work = made_work(Case(), 8), on_device(stand_in, made_work(Case(), 8))
    engine = GraphEngine(work, stand_in)
    assert engine.at_once == 256

    def together(count):
        return [Epoch(None, [(0, 8)] * count, [1e-3] * count, None)]

    losses = ran(engine, together(256) * 2)[0]
    assert relative_error(losses, ran(plain(wanted), together(1) * 512)[0]) < 64 * EPSILON
    before = stand_in.replays, stand_in.copies, stand_in.waits, stand_in.launches
    ran(engine, together(64))
    after = stand_in.replays, stand_in.copies, stand_in.waits, stand_in.launches
    assert tuple(b - a for a, b in zip(before, after, strict=True)) == (1, 2, 1, 0)
    assert (stand_in.most_under_way, stand_in.under_way) == (2, 0)


def test_ctrl_c_waits_for_what_is_under_way_and_the_next_epoch_goes_on(stand_in):
    works = [made_work(Case(), 11, batch_size=4) for _ in range(2)]
    engine, (first, second) = GraphEngine(on_device(stand_in, works[0]), stand_in), epochs(works[0], 2)
    looks = iter([None, KeyboardInterrupt])

    def check():
        if error := next(looks):
            raise error

    with pytest.raises(KeyboardInterrupt):
        engine.run(first, check)
    assert stand_in.under_way == 0
    got = ran(engine, [first.part(2, 3), second])
    wanted = ran(plain(works[1]), [first, second])
    assert worst((got[0], got[1]), (wanted[0][2:], wanted[1])) < 16 * EPSILON


def test_ragged_batches_take_no_more_memory_than_was_said(stand_in, monkeypatch):
    monkeypatch.setattr(NumpyBackend, "planned", lambda _self, plan: cuda_plan(plan))
    case = Case((64, 32), "gelu", "cross_entropy", "adam")
    work = on_device(stand_in, made_work(case, 1900, batch_size=1000))
    before = sum(nbytes for *_, nbytes in stand_in.allocated)
    engine = GraphEngine(work, stand_in)
    taken = sum(nbytes for *_, nbytes in stand_in.allocated) - before
    said = Demand(*work.step, "float64", backends.named("numpy")).of(1000)
    batches = 1900 * work.arrays[0].itemsize * (5 + 3)  # the ragged batch has a place of its own
    sums = engine._batches[1000]._scratch.sums
    order = 1900 * 8 + 4096
    assert taken <= said.scratch + batches + order + sum(array.nbytes for array in sums)


def test_binding_many_steps_writes_each_kernel_once_and_shares_what_no_feed_changes(
    stand_in, monkeypatch
):
    written = []
    monkeypatch.setattr(
        "chainrule.program.cuda.batch.write", lambda *loop: written.append(loop) or write(*loop)
    )
    work = on_device(stand_in, made_work(CASES["everything-adam"], 64 * 4, batch_size=4))
    engine = GraphEngine(work, stand_in)
    (batch,), (chunk,) = engine._batches.values(), engine._chunks.values()
    assert len(written) == sum(not is_product(group) for group in batch.plan.groups)
    calls = chunk.run.calls
    assert len(calls) == 64 * batch.nodes
    changing = 7  # the rows, the loss, the update by its rate, and what dropout keys change
    assert len({id(call) for call in calls}) <= batch.nodes + 63 * changing


def test_two_networks_train_side_by_side(stand_in):
    works = [made_work(Case(optimizer=name), 11, batch_size=4) for name in ("sgd", "adam")]
    engines = [GraphEngine(on_device(stand_in, work), stand_in) for work in works]
    plans = [epochs(work, 3) for work in works]
    losses = [[], []]
    for turn in range(3):
        for n, engine in enumerate(engines):
            losses[n] += list(ran(engine, plans[n][turn : turn + 1])[0])
    for n, work in enumerate(works):
        assert relative_error(losses[n], ran(plain(work), plans[n])[0]) < 16 * EPSILON


def test_a_device_that_captures_nothing_trains_all_the_same_and_says_why(caplog):
    device = need_device(captures=False)
    got, wanted = trained(device, Case(loss="cross_entropy"), batch_size=4)
    assert worst(got, wanted) < 16 * EPSILON
    assert [record.getMessage() for record in caplog.records] == [
        "a step runs as single kernels, not as one CUDA graph: this device captures nothing"
    ] * 2


def test_an_epoch_of_many_steps_is_a_few_graphs_that_are_shared(stand_in, monkeypatch):
    monkeypatch.setattr("chainrule.program.cuda.engine.MOST_STEPS", 4)
    got, wanted = trained(stand_in, Case((), "relu", "squared_error"), rows=9, batch_size=1)
    assert worst(got, wanted) < 64 * EPSILON
    # One graph of three steps, launched three times an epoch.
    assert [len(nodes) for nodes in stand_in.graphs] == [3 * 3]


def test_parts_of_an_epoch_have_the_bits_of_the_whole_and_share_graphs(stand_in, monkeypatch):
    monkeypatch.setattr("chainrule.program.cuda.engine.MOST_STEPS", 3)
    bits, work = [], made_work(CASES["everything-adam"], 31, batch_size=3)
    for steps in (11, 7, 4):
        graphs = len(stand_in.graphs)
        parts = [
            epoch.part(n, min(n + steps, 11)) for epoch in epochs(work) for n in range(0, 11, steps)
        ]
        fresh = on_device(stand_in, made_work(CASES["everything-adam"], 31, batch_size=3))
        losses, changed = ran(GraphEngine(fresh, stand_in), parts)
        bits.append([part.tobytes() for part in (losses, *changed)])
        assert len(stand_in.graphs) - graphs <= 3  # of three steps, of one, of the ragged last one
    assert bits[0] == bits[1] == bits[2]


def test_chunks_cover_the_epoch_in_as_few_graphs_as_do():
    for steps, nodes in ((1, 14), (64, 15), (65, 15), (1000, 15), (7, 3000)):
        most = max(1, min(MOST_STEPS, 2000 // nodes))
        cut = chunks([(n, n + 1) for n in range(steps)], {1: most})
        assert [n for span in cut for n in span] == list(range(steps))
        assert len(cut) == -(-steps // most)
        assert len({len(span) for span in cut[:-1]}) <= 1


def test_a_step_has_as_many_launches_as_its_plan_and_one_that_gathers_rows(stand_in):
    work = on_device(stand_in, made_work(Case(optimizer="adam"), 8, batch_size=4))
    told = FeedShape(1, 4, np.dtype(np.float64), False).on(stand_in, stand_in.empty)
    for thin, nodes, products in ((True, 8, 0), (False, 16, 8)):
        batch = BoundBatch(work, 4, stand_in, plan=cuda_plan(work.plan(4), thin=thin))
        assert batch.nodes == len(batch.calls(told)) == nodes
        assert len(batch.calls(told, products_only=True)) == products


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_float32_stays_float32_and_16_bits_go_its_way_with_the_weights_in_float32(stand_in, optimizer):
    case = Case((32, 16), "tanh", "cross_entropy", optimizer)
    works = {
        half: made_work(replace(case, additions={"compute": half}), 40, "float32")
        for half in (None, *HALVES)
    }
    engines = {half: GraphEngine(on_device(stand_in, works[half]), stand_in) for half in works}
    plans = epochs(works[None])
    full, wanted = ran(engines.pop(None), plans), ran(plain(works[None]), plans)
    # Adam makes a step of the rate's size even of a gradient that is a rounding error: only its losses compare.
    count = 0 if optimizer == "adam" else 1
    assert (
        worst((full[0], full[1][:count]), (wanted[0], wanted[1][:count])) < 64 * np.finfo(np.float32).eps
    )
    nodes = len(stand_in.graphs[-1])
    for engine in engines.values():
        losses, changed = ran(engine, plans)
        assert {part.dtype.name for part in (*full[1], *changed)} == {"float32"}
        assert 0 < worst((losses, changed[:count]), (wanted[0], wanted[1][:count])) < 2.0**-6
        assert len(stand_in.graphs[-1]) == nodes + 2  # that round: the weights, and the samples


class OnStandIn(NumpyBackend):
    """NumPy, but that steps run on the stand-in."""

    def engine(self, work):
        device = need_device()
        return GraphEngine(on_device(device, work), device)


def test_a_network_trains_on_it_from_end_to_end():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 4)), rng.integers(0, 3, 50)
    how = {"batch_size": 16, "optimizer": "adam", "validation_fraction": 0.2, "early_stopping": 3}
    losses = []
    for backend in (backends.named("numpy"), OnStandIn("numpy", backends.named("numpy").xp)):
        kind = {"activation": "relu", "loss": "cross_entropy", "backend": backend, "seed": 0}
        history = NeuralNetwork(4, (8, 8), 3, **kind).train(X, y, 6, 0.01, progress=False, **how)
        losses.append(history["validation_loss"])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-9)


@pytest.mark.parametrize("rate", [0.01, 50.0], ids=["learns", "diverges"])
def test_epochs_that_run_together_have_the_bits_of_those_that_are_watched(rate):
    rng = np.random.default_rng(0)
    X, y, kept = rng.standard_normal((20, 4)), rng.standard_normal((20, 3)), []
    for callbacks in ([], [lambda _: None]):
        backend = OnStandIn("numpy", backends.named("numpy").xp)
        net = NeuralNetwork(
            4, 8, 3, activation="relu", loss="mean_squared_error", backend=backend, seed=0
        )
        message = ""
        try:
            history = net.train(
                X, y, 300, rate, callbacks=callbacks, optimizer="momentum", progress=False
            )
            assert len(history) == 300
        except FloatingPointError as error:
            message = str(error)
        kept.append((message, [layer.W.tobytes() for layer in net.layers]))
    assert kept[0] == kept[1]
    assert ("diverged" in kept[0][0]) == (rate > 1)
