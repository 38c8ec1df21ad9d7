"""TrainingRows shared out among ranks: each reads its own, and the steps are those of one process on batches of all ranks' rows."""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.data import streams
from chainrule.data.streams import Stream
from chainrule.program.engine import Epoch, bounds
from chainrule.ranks.group import share
from chainrule.training.batches import Chance
from support.compare import parameters
from support.ranks import run
from support.streams import folder, handed_out, rows, windows

BATCH = 64
TRAINING = {"batch_size": BATCH, "learning_rate": 1e-3, "optimizer": "adam", "progress": False}
X, Y, WEIGHTS = rows()


def network(backend="numpy", dtype="float64"):
    settings = {"dropout": 0.1, "weight_decay": 0.01, "clip_norm": 1.0, "dtype": dtype, "seed": 1}
    return NeuralNetwork(6, 8, 3, loss="cross_entropy", backend=backend, **settings)


def trained(data, ranks="alone", epochs=2, backend="numpy", **given):
    net = network(backend, given.pop("dtype", "float64"))
    history = net.train(*data, epochs, ranks=ranks, **{**TRAINING, **given})
    return parameters(net), history


def assert_alike(runs):
    for weights, history in runs:
        np.testing.assert_array_equal(weights, runs[0][0])
        assert history["loss"] == runs[0][1]["loss"]
        assert history["validation_loss"] == runs[0][1]["validation_loss"]


def assert_near(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=0, atol=1e-12)
    for column in ("loss", "validation_loss"):
        columns = [np.array(run[1][column], float) for run in (one, other)]
        np.testing.assert_allclose(*columns, rtol=1e-12)


def draws_of(chance, ranks):
    """What each rank draws an epoch from."""
    state, draws = chance.state, []
    for rank in range(ranks):
        chance.state = state
        draws.append(chance.of_rank(rank))
    return draws


def merged(orders, batch_size=BATCH):
    """The order of one process that takes the batches of ranks whose rows come in these orders."""
    counts = list(map(len, orders))
    batches = bounds(sum(counts), batch_size)
    parts = [share(batches, counts, rank).bounds for rank in range(len(counts))]
    steps = [
        order[slice(*part[number])]
        for number in range(len(batches))
        for order, part in zip(orders, parts, strict=True)
    ]
    return np.concatenate(steps)


@pytest.mark.parametrize("counts", [(501, 502), (1000, 3, 0), (40, 0, 900, 63)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 64, None])
def test_shares_cover_each_row_once_in_batches_of_one_size(counts, batch_size):
    batches = bounds(sum(counts), batch_size)
    shares = [share(batches, counts, rank) for rank in range(len(counts))]
    for one, count in zip(shares, counts, strict=True):
        assert [row for start, stop in one.bounds for row in range(start, stop)] == list(range(count))
    for number, (start, stop) in enumerate(batches):
        first = 0
        for one in shares:
            assert one.places[number] == (stop - start, first)
            first += one.bounds[number][1] - one.bounds[number][0]
        assert first == stop - start


def test_ranks_with_rows_of_their_own_train_what_one_process_does(monkeypatch, backend):
    places = np.split(np.arange(len(X)), (3, 3, 700))  # rows of four ranks, of which one has none

    def own(group):
        part = places[group.rank]
        weights = {"sample_weight": WEIGHTS[part], "validation_data": (X[part], Y[part])}
        return trained((X[part], Y[part]), group, backend=backend, sharded=True, **weights)

    runs = run(4, own)
    assert_alike(runs)
    chance, orders = Chance(1), []
    for _ in range(2):
        draws = draws_of(chance, 4)
        orders.append(merged([p[d.order(len(p))] for p, d in zip(places, draws, strict=True)]))
    drawn = lambda _self, _n, epochs: np.concatenate([orders.pop(0) for _ in range(epochs)])
    monkeypatch.setattr(Chance, "order", drawn)
    weights = {"sample_weight": WEIGHTS, "validation_data": (X, Y)}
    assert_near(runs[0], trained((X, Y), backend=backend, **weights))


@pytest.mark.parametrize(("ranks", "window"), [(2, 30), (3, 300)])
def test_ranks_read_the_blocks_of_a_stream_once_and_train_what_one_process_does(
    tmp_path, monkeypatch, backend, ranks, window
):
    path, read = folder(tmp_path, X, Y, WEIGHTS), {}
    once = Stream.read

    def counted(self, block, out=None):
        read.setdefault(block, []).append(id(self._source))
        return once(self, block, out)

    def stream():
        return Stream(path, "y", "w", window=window)

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "read", counted)
        runs = run(ranks, lambda group: trained((stream(), None), group, backend=backend))
    assert_alike(runs)
    assert any(note.startswith("each rank has its own rows") for note in runs[0][1].notes)
    assert sorted(read) == stream().blocks
    assert all(len(set(by)) == 1 for by in read.values())
    # Two epochs; after them, the closing line looks at a block on each rank.
    assert sum(map(len, read.values())) <= 2 * len(read) + ranks
    chance, orders = Chance(1), []
    shards = [stream().shard(rank, ranks) for rank in range(ranks)]
    batches, counts = bounds(len(X), BATCH), list(map(len, shards))
    for _ in range(2):
        parts = []
        for rank, (shard, draws) in enumerate(zip(shards, draws_of(chance, ranks), strict=True)):
            data, own = windows(shard, network().architecture, BATCH), share(batches, counts, rank)
            order = data.order(draws, shuffle=True)
            parts.append(handed_out(data, Epoch(order, own.bounds, [0.1] * len(batches), None)))
        orders.append(merged(parts))
        assert np.array_equal(np.sort(orders[-1]), np.arange(len(X)))
    drawn = lambda _self, _n, epochs: np.concatenate([orders.pop(0) for _ in range(epochs)])
    monkeypatch.setattr(Chance, "order", drawn)
    assert_near(runs[0], trained((X, Y), backend=backend, sample_weight=WEIGHTS))


def test_rows_are_held_out_on_one_rank_each_and_all_in_one_batch_are_those_of_one_process(tmp_path):
    path = folder(tmp_path, X, Y)
    how = {"validation_fraction": 0.2, "early_stopping": 2, "batch_size": len(X), "dtype": "float64"}
    alone = trained((path, "y"), **how)
    for ranks in (2, 40):  # of which some have no blocks
        runs = run(ranks, lambda group: trained((path, "y"), group, **how))
        assert_alike(runs)
        for column in ("loss", "validation_loss", "validation_accuracy"):
            np.testing.assert_allclose(runs[0][1][column], alone[1][column], rtol=1e-2)


def test_statistics_are_those_of_the_rows_of_all_ranks(tmp_path, monkeypatch):
    path, places = folder(tmp_path, X, Y), np.split(np.arange(len(X)), (300,))
    wanted = Stream(path, "y").standardized().scaler
    parts = [{"y": Y[part], **{f"x{n}": X[part, n] for n in range(6)}} for part in places]

    def scalers(group):
        common = Stream(path, "y").standardized(ranks=group)
        own = Stream([parts[group.rank]], "y").standardized(ranks=group, sharded=True)
        return common.scaler, own.scaler

    monkeypatch.setattr(streams, "join", None)  # ranks are not asked for where the scaler is known
    assert Stream(path, "y").standardized(wanted).scaler is wanted
    monkeypatch.undo()
    for pair in run(2, scalers):
        for scaler in pair:
            np.testing.assert_allclose(scaler, wanted, rtol=1e-12)


def test_a_checkpoint_continues_within_an_epoch_and_on_another_number_of_ranks_is_refused(tmp_path):
    path = folder(tmp_path / "rows", X, Y)
    how = {"checkpoint": tmp_path / "run", "checkpoint_seconds": 0, "resume": True}

    def shards(group, **given):
        return trained((Stream(path, "y", window=100), None), group, epochs=3, **given)

    wanted = run(3, shards)
    run(3, lambda group: shards(group, callbacks=[lambda record: record.epoch == 1], **how))
    for file in sorted((tmp_path / "run").glob("*.safetensors"))[-1:]:
        file.unlink()  # of the run that is over; the one before it stands within the epoch
    refusal = r"differs in ranks that share the rows \(it has 3, now 2\), data"
    with pytest.raises(ValueError, match=refusal):
        run(2, lambda group: shards(group, **how))
    assert_alike([*wanted, *run(3, lambda group: shards(group, **how))])


def test_ranks_whose_data_differ_are_refused_at_the_start(tmp_path):
    path = folder(tmp_path, X, Y)

    def scaled_alone(group):
        stream = Stream([{"a": [0.0, float(group.rank)], "y": [0, 1]}], "y").standardized()
        net = NeuralNetwork(1, 2, 2, loss="cross_entropy", seed=0)
        net.train(stream, None, 1, batch_size=2, ranks=group, sharded=True)

    def other_classes(group):
        net = NeuralNetwork(6, 4, 3 + group.rank, loss="cross_entropy", seed=0)
        net.train(path, "y", 1, batch_size=2, ranks=group)

    def other_columns(group):
        features = [f"x{number}" for number in range(6)][:: 1 - 2 * group.rank]
        return trained((Stream(path, "y", features=features), None), group)

    def other_window(group):
        return trained((Stream(path, "y", window=97 + group.rank), None), group)

    def scaled_together(group):
        columns = {"a": np.arange(9.0), "y": np.zeros(9)}
        files = [columns] * (2 + group.rank)
        return Stream(files, "y").standardized(ranks=group)

    for function, what in (
        (other_window, "window"),
        (scaled_together, "data"),
        (scaled_alone, "scaler"),
        (other_classes, "network"),
        (other_columns, "features"),
    ):
        message = f"the ranks differ in {what}: .* on rank 0, .* on rank 1; "
        with pytest.raises(ValueError, match=message):
            run(2, function)
    with pytest.raises(ValueError, match="X has no rows on any rank"):
        run(2, lambda group: trained((X[:0], Y[:0]), group, sharded=True))
    message = "sums by a tree need the same rows on all ranks; leave out ':tree'"
    with pytest.raises(ValueError, match=message):
        run(2, lambda group: trained((X, Y), group, sharded=True), tree=True)
