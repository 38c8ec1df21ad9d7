"""Rows written as each kind of source, and the order in which a stream reads them."""

import numpy as np
import polars as pl

from chainrule import backends
from chainrule.data.inputs import Door
from chainrule.data.streams import Stream
from chainrule.program.engine import Epoch, bounds
from chainrule.training.windows import Windows


def rows(n=1003):
    """Return X, whose first column numbers the rows, labels of three classes and weights."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6)).astype(np.float32)
    X[:, 0] = np.arange(n)
    return X, rng.integers(0, 3, n), rng.random(n)


def frames(X, y, w=None, size=77):
    """Return data frames of so many rows each."""
    names = [f"x{number}" for number in range(X.shape[1])]
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        yield pl.DataFrame(X[part], schema=names).with_columns(
            y=y[part], **({} if w is None else {"w": w[part]})
        )


def folder(path, X, y, w=None, size=400):
    """Write the rows as Parquet files of a folder."""
    path.mkdir(exist_ok=True)
    for number, frame in enumerate(frames(X, y, w, size)):
        frame.write_parquet(path / f"{number:03}.parquet", row_group_size=100)
    return path


def sources(path, X, y, w, window):
    """Return a stream of each kind over the same rows."""
    np.save(path / "X.npy", X)
    np.save(path / "y.npy", y)
    return [
        Stream(folder(path / "folder", X, y, w), "y", "w", window=window),
        Stream(path / "X.npy", path / "y.npy", w, window=window),
        Stream(lambda: frames(X, y, w), "y", "w", window=window),
    ]


def windows(stream, net, batch_size, dtype="float32"):
    """Return a stream as the data of training on the host."""
    return Windows(stream, net, Door(backends.named("numpy"), dtype), batch_size)


def plan(data, chance, batch_size):
    """Return an epoch over windows without learning rates of its own."""
    places = bounds(len(data), batch_size)
    return Epoch(data.order(chance, shuffle=True), places, [0.1] * len(places), None)


def handed_out(data, epoch):
    """Return the numbers of the rows that an epoch hands to training, in order."""
    return np.concatenate([data.data.X[span.order, 0] for span in data.spans(epoch)]).astype(int)
