"""Sparse features: training and prediction on a SciPy matrix, a few dense rows at a time."""

import time
from typing import Any

import numpy as np
from scipy.sparse import issparse

from chainrule import NeuralNetwork
from chainrule.mathematics.schedules import Schedule
from chainrule.mathematics.step import Batch
from chainrule.program.engine import bounds
from chainrule.training.evaluation import Score
from chainrule.training.history import History
from chainrule.training.loop import Callback

BYTES = 2**25  # of dense rows at a time, unless a batch is larger


def parts(X: Any, rows: int = 1) -> list[tuple[int, int]]:
    """Return ``(start, stop)`` of the parts of X to make dense at a time, each a multiple of ``rows``.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> parts(csr_array((1000, 10_000)), rows=200)
    [(0, 400), (400, 800), (800, 1000)]
    """
    affordable = BYTES // (8 * X.shape[1])
    return bounds(X.shape[0], max(1, affordable // rows) * rows)


def dense(X: Any) -> Any:
    """Return a sparse X as an array; other X unchanged."""
    return X.toarray() if issparse(X) else X


def train(
    network: NeuralNetwork, data: Batch, epochs: int, rate: Schedule, ended: Callback, **options: Any
) -> History:
    """Train as ``network.train`` does on the dense X: the same batches in the same order.

    ``ended`` is called with the record of each epoch, and ends training with ``True``. ``options`` are those of
    ``network.train``, except early stopping.
    """
    held_out = options.pop("validation_data")
    X, Y, weights = data
    n, began = X.shape[0], time.perf_counter()
    rows, shuffles = options["batch_size"] or n, options.pop("shuffle")
    history = History(network.architecture.loss.reported_name)
    for epoch in range(epochs):
        order = network._chance.order(n) if shuffles and rows < n else np.arange(n)  # (n,)
        loss = 0.0
        for start, stop in parts(X, rows):
            chosen, options["sample_weight"] = order[start:stop], None  # (rows of the part,)
            if weights is not None:
                options["sample_weight"] = weights[chosen]  # (rows of the part,)
            span = epoch + start / n, (stop - start) / n
            done = network.train(
                X[chosen].toarray(), Y[chosen], 1, _part_of(rate, span, epochs), shuffle=False, **options
            )
            history.notes, history.interrupted = done.notes, done.interrupted
            if done.interrupted:
                return history
            loss += done.record(0).loss * span[1]
        seconds = time.perf_counter() - began
        scored = None if held_out is None else _score(network, held_out)
        history.add([loss], [rate(epoch, epochs)], seconds, scored)
        if ended(history.record(-1)) is True:
            history.interrupted = True
            break
    return history


def _score(network: NeuralNetwork, held_out: Batch) -> Score:
    """Return the loss and the accuracy on held-out rows, a weighted mean over parts."""
    (X, Y, weights), loss, accuracy = held_out, 0.0, 0.0
    for start, stop in parts(X):
        part, share = slice(start, stop), (stop - start) / X.shape[0]
        weighed = None if weights is None else weights[part]  # (rows of the part,)
        score = network.evaluate(X[part].toarray(), Y[part], weighed)
        loss += share * score.loss
        accuracy += share * (score.accuracy or 0.0)
    return Score(loss, None if score.accuracy is None else accuracy)


def _part_of(rate: Schedule, span: tuple[float, float], epochs: int) -> Schedule:
    """Return the schedule of the part of training that begins at ``span[0]`` and lasts ``span[1]`` epochs."""
    return lambda share, _: rate(span[0] + share * span[1], epochs)
