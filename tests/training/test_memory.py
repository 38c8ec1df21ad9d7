"""What a step needs in memory is said before it starts, and training that cannot fit does not start."""

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends.numpy import NumpyBackend


def test_an_estimate_adds_up_and_grows_with_the_batch():
    net = NeuralNetwork(64, 256, 10, dtype="float32", seed=0)
    small, large = net.memory_estimate(32), net.memory_estimate(320)
    assert small.total == small.parameters + small.state + small.batch + small.scratch
    assert large.batch == 10 * small.batch == 320 * (64 + 10) * 4
    assert large.parameters == small.parameters == 4 * (64 * 256 + 256 + 256 * 10 + 10) * 4
    assert large.scratch > 4 * small.scratch
    assert str(large).splitlines()[-1].startswith("total")


def test_the_state_of_the_optimizer_counts():
    net = NeuralNetwork(8, 4, 2, dtype="float32", seed=0)
    P = net.architecture.layout.total
    assert net.memory_estimate(10).state == 0
    assert net.memory_estimate(10, optimizer="momentum").state == P * 4
    assert net.memory_estimate(10, optimizer="adam").state == (2 * P + 1) * 4


def test_a_step_that_is_not_planned_is_counted_as_keeping_every_result():
    strict = pytest.importorskip("array_api_strict")
    net = NeuralNetwork(8, 64, 2, dtype="float64", seed=0, backend="numpy")
    planned, kept = net.memory_estimate(100), net.memory_estimate(100, backend=strict)
    assert kept.scratch > 2 * planned.scratch


def refused(monkeypatch, net, available, **given):
    monkeypatch.setattr(NumpyBackend, "available_bytes", lambda _self: available)
    X, Y = np.zeros((1000, 8)), np.zeros((1000, 2))
    before = net.layers[0].W.copy()
    with pytest.raises(MemoryError) as error:
        net.train(X, Y, 2, 0.1, progress=False, **given)
    assert np.array_equal(net.layers[0].W, before)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_training_that_cannot_fit_says_what_is_needed_what_there_is_and_what_would_fit(monkeypatch):
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)
    needed, available = net.memory_estimate(1000).total, 300_000
    message = refused(monkeypatch, net, available)
    assert f"{needed / 1e6:.2f} MB" in message
    assert "300.00 kB" in message
    fits = int(message.rpartition(" ")[2])
    assert net.memory_estimate(fits).total <= available < net.memory_estimate(fits + 1).total
    net.train(np.zeros((1000, 8)), np.zeros((1000, 2)), 1, 0.1, batch_size=fits, progress=False)


def test_a_network_that_fits_with_no_batch_is_told_so(monkeypatch):
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)
    assert "no batch fits" in refused(monkeypatch, net, 1000)


def test_memory_that_nobody_knows_of_refuses_nothing(monkeypatch):
    monkeypatch.setattr(NumpyBackend, "available_bytes", lambda _self: None)
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)
    assert len(net.train(np.zeros((10, 8)), np.zeros((10, 2)), 2, 0.1, progress=False)) == 2


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


@pytest.mark.parametrize("available", [None, 300_000])
def test_memory_that_runs_out_all_the_same_is_explained(monkeypatch, available):
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)

    def fails(_self, _work):
        monkeypatch.setattr(NumpyBackend, "available_bytes", lambda _self: available)
        raise MemoryError  # as when the free memory is in pieces

    monkeypatch.setattr(NumpyBackend, "engine", fails)
    with pytest.raises(MemoryError, match="numpy ran out of memory for a step on 200 rows") as error:
        net.train(np.zeros((200, 8)), np.zeros((200, 2)), 1, 0.1, progress=False)
    fits = int(str(error.value).rpartition(" ")[2])
    if available is None:
        assert fits == 199
    else:
        assert net.memory_estimate(fits).total <= available < net.memory_estimate(fits + 1).total


@pytest.fixture
def _streaming(monkeypatch):
    """Have NumPy do as a device that has no room for the data: two batches are there at once."""
    monkeypatch.setattr(NumpyBackend, "places", 2)
    monkeypatch.setattr(NumpyBackend, "streams", lambda _self, X: isinstance(X, np.ndarray))


@pytest.mark.usefixtures("_streaming")
def test_what_is_streamed_takes_two_batches_and_the_largest_that_fits_is_smaller(monkeypatch):
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)
    one, two = net.memory_estimate(100), net.memory_estimate(100, streamed=True)
    assert (two.parameters, two.state) == (one.parameters, one.state)
    assert (two.batch, two.scratch) == (2 * one.batch, 2 * one.scratch)
    message = refused(monkeypatch, net, 300_000)
    assert f"{net.memory_estimate(1000, streamed=True).total / 1e6:.2f} MB" in message
    fits = int(message.rpartition(" ")[2])
    assert fits < 0.6 * 1000
    totals = [net.memory_estimate(rows, streamed=True).total for rows in (fits, fits + 1)]
    assert totals[0] <= 300_000 < totals[1]
    net.train(np.zeros((1000, 8)), np.zeros((1000, 2)), 1, 0.1, batch_size=fits, progress=False)


@pytest.mark.usefixtures("_streaming")
def test_streaming_that_runs_out_of_memory_all_the_same_counts_two_batches(monkeypatch):
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)

    def fails(_self, _work):
        raise MemoryError

    monkeypatch.setattr(NumpyBackend, "engine", fails)
    needed = net.memory_estimate(200, streamed=True).total
    with pytest.raises(MemoryError, match=f"which takes {needed / 1e3:.2f} kB"):
        net.train(np.zeros((200, 8)), np.zeros((200, 2)), 1, 0.1, progress=False)


def test_where_nothing_is_streamed_one_batch_is_counted():
    net = NeuralNetwork(8, 64, 2, backend="numpy", seed=0)
    assert net.memory_estimate(100, streamed=True) == net.memory_estimate(100)
