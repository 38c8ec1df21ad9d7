"""Training on data that memory does not hold: the same steps as from memory, in bounded memory."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from chainrule import NeuralNetwork
from chainrule.data.streams import Stream
from chainrule.training.batches import Chance
from support.compare import parameters
from support.streams import folder, handed_out, plan, rows, sources, windows

BATCH = 64
TRAINING = {"batch_size": BATCH, "learning_rate": 1e-4, "optimizer": "adam", "progress": False}


def network(backend="numpy"):
    sizes = {"input_size": 6, "hidden_size": 8, "output_size": 3, "loss": "cross_entropy"}
    return NeuralNetwork(**sizes, dropout=0.1, dtype="float32", backend=backend, seed=1)


@pytest.mark.parametrize("window", [30, 300])
@pytest.mark.parametrize(
    "backend", ["numpy", *(pytest.param(x, marks=pytest.mark.needs(x)) for x in ("torch", "jax"))]
)
def test_a_stream_trains_to_the_bits_that_memory_gives_in_the_same_order(
    tmp_path, monkeypatch, backend, window
):
    X, y, w = rows()
    for stream in sources(tmp_path, X, y, w, window):
        net, again = network(backend), network(backend)
        history = net.train(stream, None, epochs=2, **TRAINING)
        data, chance = windows(stream, net.architecture, BATCH), Chance(1)
        orders = [handed_out(data, plan(data, chance, BATCH)) for _ in range(2)]
        assert all(np.array_equal(np.sort(order), np.arange(len(X))) for order in orders)
        assert not np.array_equal(*orders)
        with monkeypatch.context() as patch:
            drawn = lambda _self, _n, epochs, left=orders: np.concatenate(
                [left.pop(0) for _ in range(epochs)]
            )
            patch.setattr(Chance, "order", drawn)
            from_memory = again.train(X, y, epochs=2, sample_weight=w, **TRAINING)
        assert history["loss"] == from_memory["loss"]
        np.testing.assert_array_equal(parameters(net), parameters(again))


def test_rows_far_apart_meet_in_a_batch_and_without_shuffle_they_keep_their_order(tmp_path):
    X, y, w = rows(4000)
    stream = Stream(folder(tmp_path, X, y, w), "y", "w", window=800)
    data = windows(stream, network().architecture, BATCH)
    epoch = plan(data, Chance(0), BATCH)
    assert np.ptp(handed_out(data, epoch)[:BATCH]) > 800
    lying = epoch._replace(order=data.order(Chance(0), shuffle=False))
    np.testing.assert_array_equal(handed_out(data, lying), np.arange(4000))


def test_an_epoch_goes_on_in_the_middle_without_reading_what_lies_before(tmp_path, monkeypatch):
    X, y, w = rows()
    stream, read = Stream(folder(tmp_path, X, y, w), "y", "w", window=100), []
    data = windows(stream, network().architecture, BATCH)
    epoch = plan(data, Chance(0), BATCH)
    whole = handed_out(data, epoch)
    once = Stream.read
    noted = lambda self, block, out=None: read.append(block) or once(self, block, out)
    monkeypatch.setattr(Stream, "read", noted)
    np.testing.assert_array_equal(handed_out(data, epoch.part(11, 16)), whole[11 * BATCH :])
    assert sum(block.rows for block in read) < len(X) - 11 * BATCH + 100
    np.testing.assert_array_equal(handed_out(data, epoch.part(3, 5)), whole[3 * BATCH : 5 * BATCH])


def test_a_run_that_ended_in_the_middle_of_an_epoch_continues_with_the_bits_of_a_whole_one(
    tmp_path, monkeypatch
):
    X, y, w = rows()
    stream = Stream(folder(tmp_path / "rows", X, y, w), "y", "w", window=100)
    whole, again, count, once = network(), network(), [0], Stream.read
    history = whole.train(stream, None, epochs=3, **TRAINING)

    def read(self, block, out=None):
        count[0] += 1
        if count[0] == 30:
            msg = "the file is gone"
            raise OSError(msg)
        return once(self, block, out)

    saving = {"checkpoint": tmp_path / "run", "checkpoint_seconds": 0} | TRAINING
    monkeypatch.setattr(Stream, "read", read)
    with pytest.raises(OSError, match="gone"):
        again.train(stream, None, epochs=3, **saving)
    again = network()
    continued = again.train(stream, None, epochs=3, resume=True, **saving)
    assert history["loss"] == continued["loss"]
    np.testing.assert_array_equal(parameters(again), parameters(whole))


def test_blocks_are_held_out_and_scored_as_from_memory(tmp_path):
    X, y, _ = rows()
    stream, net = Stream(folder(tmp_path, X, y), "y"), network()
    history = net.train(stream, None, epochs=1, validation_fraction=0.25, **TRAINING)
    kept = stream.split(0.25, Chance(1).order)[1]
    held = np.concatenate([raw.X[:, 0] for raw in kept.read_all()]).astype(int)
    assert 200 < held.size < 300
    score = net.evaluate(X[held], y[held])
    assert history.record(-1).validation_loss == pytest.approx(score.loss, rel=1e-5)
    assert history.record(-1).validation_accuracy == pytest.approx(score.accuracy)


def test_a_value_that_is_missing_far_into_a_file_is_named_and_the_weights_of_the_epoch_before_are_kept(
    tmp_path,
):
    X, y, _ = rows()
    X[903, 4] = np.nan
    path, net = tmp_path / "rows", network()
    before = parameters(net)
    message = r"^row 104 of .*002.parquet has no value in 'x4'; fill or drop it"
    with pytest.raises(ValueError, match=message):
        net.train(folder(path, X, y), "y", epochs=1, **TRAINING)
    np.testing.assert_array_equal(parameters(net), before)
    X[903, 4], y[903] = 0, 3
    with pytest.raises(ValueError, match=r"from row \d+ of .*002.parquet: y holds label 3 at row"):
        net.train(folder(path, X, y), "y", epochs=1, **TRAINING)


PEAK = """
import json, sys, numpy as np
from chainrule import NeuralNetwork
from chainrule.data.streams import Stream
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
def train(path):
    stream = Stream(path, "y", window=4096).standardized()
    net = NeuralNetwork(256, 4, 3, loss="cross_entropy", dtype="float32", seed=0)
    net.train(stream, None, epochs=1, batch_size=2000, validation_fraction=0.1, compile=False, progress=False)
train(sys.argv[1])
before = peak()
train(sys.argv[2])
print((peak() - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_the_peak_of_memory_does_not_depend_on_the_rows_of_the_file(tmp_path):
    rng, few = np.random.default_rng(0), 8192
    X = rng.standard_normal((few, 256), dtype=np.float32)  # 8 MB
    part = pl.DataFrame(X).with_columns(y=rng.integers(0, 3, few))
    paths = [str(tmp_path / f"{count}.parquet") for count in (1, 8)]
    for path, count in zip(paths, (1, 8), strict=True):
        frame = pl.concat([part] * count)
        frame.write_parquet(path, row_group_size=few, compression="uncompressed")
    command = [sys.executable, "-c", PEAK, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 25  # MB; the second file has 59 more


def test_many_steps_leave_no_threads_and_no_files_behind(tmp_path):
    X, y, w = rows(2000)
    stream = Stream(folder(tmp_path, X, y, w), "y", "w", window=200)
    net, epochs = network(), 2000 if os.environ.get("SOAK") else 3
    counts = []
    for _ in range(2):
        net.train(stream, None, epochs=epochs, **TRAINING | {"batch_size": 4})
        files = len(list(Path("/proc/self/fd").glob("*")))  # none where there is no /proc
        counts.append((threading.active_count(), files))
    assert counts[0] == counts[1]
