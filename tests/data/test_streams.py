"""Sources that are read block by block: what they hold, their statistics, and what is refused."""

import numpy as np
import polars as pl
import pytest

from chainrule import NeuralNetwork
from chainrule.data.scaling import Scaler
from chainrule.data.streams import Stream
from support.streams import folder, frames, rows, sources


def test_statistics_of_one_pass_are_those_of_all_rows_in_memory(tmp_path):
    X, y, w = rows()
    X = X.astype(np.float64)
    X[:, 1] = 1e9 + X[:, 1]  # the mean is far larger than the deviation
    X[:, 2] = 0.1
    wanted = Scaler.fit(X)
    for stream in sources(tmp_path, X, y, w, 100):
        scaler = stream.standardized().scaler
        np.testing.assert_allclose(scaler.mean, wanted.mean, rtol=1e-13)
        np.testing.assert_allclose(scaler.scale, wanted.scale, rtol=1e-7)  # the mean of one is 1e9
        assert (scaler.mean[2], scaler.scale[2]) == (0.1, 1)


def train(X, y="y", **options):
    """Train for an epoch in batches of 4."""
    net = NeuralNetwork(6, 4, 3, loss="cross_entropy", seed=0)
    net.train(X, y, **{"epochs": 1, "batch_size": 4, "progress": False} | options)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path):
    X, y, w = rows(20)
    (tmp_path / "empty").mkdir()
    files, text, gone = (folder(tmp_path / name, X, y, w, 10) for name in ("files", "text", "gone"))
    pl.read_parquet(files / "001.parquet").drop("x3").write_parquet(files / "001.parquet")
    frame = pl.read_parquet(text / "000.parquet").with_columns(x2=pl.lit("a"))
    frame.write_parquet(tmp_path / "text.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and no more")
    np.save(tmp_path / "X.npy", X)
    own = Stream(gone, "y", drop=["w"])
    missing, wrong, kind = FileNotFoundError, ValueError, TypeError
    for call, error, message in [
        (lambda: train(tmp_path / "none"), missing, "none is no file or folder; give a Parquet file"),
        (lambda: train(tmp_path / "empty"), missing, "empty is a folder without .parquet files; give"),
        (lambda: train(tmp_path / "broken.parquet"), wrong, "broken.parquet cannot be read .*; is it damaged"),
        (lambda: train(files), wrong, "001.parquet has other columns than .*000.parquet: 'x3' .*missing"),
        (lambda: train(gone, "label"), wrong, "there is no column 'label' for training"),
        (lambda: Stream(gone, [[0]] * 20), kind, "give the name of the target's column"),
        (lambda: train(tmp_path / "text.parquet"), wrong, "numbers in each feature, got 'x2' .String"),
        (lambda: train(gone), wrong, "the data have 7 features but the network takes 6; name them"),
        (lambda: train(gone, batch_size=None), wrong, "batch_size is None, .*; give one, such as 512"),
        (lambda: train(own, "y"), wrong, "which has its own; give y=None"),
        (lambda: train(frames(X, y, w, 5)), kind, "got a generator, which can be read only once, .*; give a"),
        (lambda: train([]), wrong, "there are no record batches; give at least one"),
        (lambda: train(tmp_path / "X.npy", y[:9]), wrong, "y has shape .9,. but X has 20 rows"),
        (lambda: train(own, None, validation_fraction=0.99), wrong, "cannot be split"),
    ]:  # fmt: skip
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_record_batches_that_end_early_are_refused():
    X, y, w = rows(20)
    sizes = iter([20, 20, 12])
    stream = Stream(lambda: frames(X[: (n := next(sizes))], y[:n], w[:n], 5), "y", drop=["w"])
    with pytest.raises(ValueError, match="the record batches ended at row 12, wanted 20 as at first"):
        train(stream, None, epochs=3)


def test_a_file_that_is_damaged_after_it_was_opened_is_named(tmp_path):
    X, y, _ = rows(20)
    stream = Stream(folder(tmp_path, X, y), "y")
    (tmp_path / "000.parquet").write_bytes(b"PAR1xx")
    with pytest.raises(ValueError, match=r"000\.parquet cannot be read .*; was it changed after"):
        train(stream, None)
