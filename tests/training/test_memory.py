"""What a step needs in memory is said before it starts, and training that cannot fit does not start."""

import tracemalloc

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends.numpy import NumpyBackend
from chainrule.mathematics.optimizers import optimizer
from chainrule.training.memory import Demand


def network(hidden=64):
    return NeuralNetwork(8, hidden, 2, backend="numpy", seed=0)


def train(net, rows=1000, **given):
    return net.train(np.zeros((rows, 8)), np.zeros((rows, 2)), 1, 0.1, progress=False, **given)


def refused(net, rows=1000):
    before = net.layers[0].W.copy()
    with pytest.raises(MemoryError) as error:
        train(net, rows)
    assert np.array_equal(net.layers[0].W, before)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture
def left(monkeypatch):
    """Have NumPy say how much memory is left."""
    return lambda available: monkeypatch.setattr(
        NumpyBackend, "available_bytes", lambda _self: available
    )


@pytest.fixture
def _streaming(monkeypatch):
    """Have NumPy do as a device that has no room for the data: two batches are there at once."""
    monkeypatch.setattr(NumpyBackend, "places", 2)
    monkeypatch.setattr(NumpyBackend, "streams", lambda _self, X: isinstance(X, np.ndarray))


def test_an_estimate_adds_up_and_grows_with_the_batch_and_the_state():
    net = NeuralNetwork(64, 256, 10, dtype="float32", seed=0)
    small, large = net.memory_estimate(32), net.memory_estimate(320)
    assert small.total == small.parameters + small.state + small.batch + small.scratch
    assert large.batch == 10 * small.batch == 320 * (64 + 10) * 4
    P = 64 * 256 + 256 + 256 * 10 + 10
    assert large.parameters == small.parameters == 4 * P * 4
    assert large.scratch > 4 * small.scratch
    assert str(large).splitlines()[-1].startswith("total")
    states = [net.memory_estimate(10, optimizer=name).state for name in ("sgd", "momentum", "adam")]
    assert states == [0, P * 4, (2 * P + 1) * 4]
    assert net.memory_estimate(100, streamed=True) == net.memory_estimate(100)  # nothing is streamed


def test_a_step_that_is_not_planned_is_counted_as_keeping_every_result():
    strict = pytest.importorskip("array_api_strict")
    planned, kept = network().memory_estimate(100), network().memory_estimate(100, backend=strict)
    assert kept.scratch > 2 * planned.scratch


def test_training_that_cannot_fit_says_what_is_needed_what_there_is_and_what_would_fit(left):
    net, available = network(), 300_000
    left(available)
    message = refused(net)
    assert f"{net.memory_estimate(1000).total / 1e6:.2f} MB" in message
    assert "300.00 kB" in message
    fits = int(message.rpartition(" ")[2])
    assert net.memory_estimate(fits).total <= available < net.memory_estimate(fits + 1).total
    assert len(train(net, batch_size=fits)) == 1
    left(1000)
    assert "no batch fits: give narrower layers" in refused(net)
    left(None)  # nobody knows, and nothing is refused
    assert len(train(net)) == 1


@pytest.mark.parametrize(
    ("given", "hidden", "rows"),
    [({"compile": False}, 256, 4000), ({"threads": 1}, 256, 4000), ({"threads": 2}, 256, 40_000)],
    ids=["as written", "replayed", "in row blocks"],
)
def test_the_estimate_is_of_what_runs(given, hidden, rows):
    net = NeuralNetwork(64, hidden, 10, dtype="float32", backend="numpy", seed=0)
    X, Y = np.zeros((rows, 64), np.float32), np.zeros((rows, 10), np.float32)
    how = {"compiled": given.get("compile", True), "steps": 3, "threads": given.get("threads")}
    estimate = Demand(net.architecture, optimizer("sgd"), "float32", net.backend, **how).of(rows)
    net.train(X, Y, 3, 0.1, progress=False, **given)  # what a first run imports and compiles
    tracemalloc.start()
    try:
        net.train(X, Y, 3, 0.1, progress=False, **given)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    taken = estimate.total - estimate.batch  # the batch is the caller's own arrays
    slack = 16e6  # the instructions of many blocks; all rows at once would take 125 MB
    assert 0.4 * taken < peak < 1.1 * taken + slack


def test_numpy_says_what_is_left_of_this_machine():
    said = backends.named("numpy").available_bytes()
    assert said is None or said > 0


def test_the_program_of_a_step_counts_and_prints():
    made = NeuralNetwork(784, 100, 10, dtype="float32").program(batch_size=200)
    assert (made.matmuls, made.row_products, made.flops) == (5, 2, 63_920_000)
    assert made.launches == 29
    assert made.peak_bytes > made.scratch_bytes > 0
    text = str(made)
    assert "dL_dZ2" in text
    assert "63,920,000 FLOPs" in text


@pytest.mark.parametrize(
    ("hidden", "available", "advice"),
    [
        (64, None, "give a batch_size of at most 199"),
        (64, 300_000, "give a batch_size of at most "),
        (20_000, None, "give narrower layers"),  # it is the weights that take the memory
    ],
)
def test_memory_that_runs_out_all_the_same_is_explained(monkeypatch, left, hidden, available, advice):
    net = network(hidden)

    def fails(_self, _work):
        left(available)
        raise MemoryError  # as when the free memory is in pieces

    monkeypatch.setattr(NumpyBackend, "engine", fails)
    message = refused(net, rows=200 if hidden == 64 else 2)
    assert "numpy ran out of memory for a step on " in message
    assert advice in message
    if available is not None:
        fits = int(message.rpartition(" ")[2])
        assert net.memory_estimate(fits).total <= available < net.memory_estimate(fits + 1).total


@pytest.mark.usefixtures("_streaming")
def test_what_is_streamed_takes_two_batches_and_the_largest_that_fits_is_smaller(monkeypatch, left):
    net = network()
    one, two = net.memory_estimate(100), net.memory_estimate(100, streamed=True)
    assert (two.parameters, two.state) == (one.parameters, one.state)
    assert (two.batch, two.scratch) == (2 * one.batch, one.scratch)
    left(300_000)
    message = refused(net)
    assert f"{net.memory_estimate(1000, streamed=True).total / 1e6:.2f} MB" in message
    fits = int(message.rpartition(" ")[2])
    totals = [net.memory_estimate(rows, streamed=True).total for rows in (fits, fits + 1)]
    assert totals[0] <= 300_000 < totals[1]
    assert len(train(net, batch_size=fits)) == 1

    def fails(_self, _work):
        raise MemoryError

    left(None)
    monkeypatch.setattr(NumpyBackend, "engine", fails)
    needed = net.memory_estimate(200, streamed=True).total
    assert f"which takes {needed / 1e3:.2f} kB" in refused(net, rows=200)
