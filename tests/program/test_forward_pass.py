"""NumPy's predictions in blocks of rows: what the forward pass says, whatever happens between two calls."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import weakref
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from chainrule import NeuralNetwork
from chainrule.mathematics.activations import tanh
from chainrule.program import forward_pass as prediction
from chainrule.training import evaluation
from support.compare import relative_error
from support.data import samples
from support.engines import blas_threads

WAYS = ["written", "kept", "planned", pytest.param("native", marks=pytest.mark.needs("jit"))]
ROWS = 8  # of a block


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Have even small networks go through this way: all rows at once by a plan that is kept, or in small blocks."""
    prediction._kept.few.cache_clear()
    monkeypatch.setattr(prediction, "FEW_BYTES", np.inf if request.param == "kept" else 0)
    monkeypatch.setattr(prediction, "CALLS_AS_WRITTEN", 1)
    monkeypatch.setenv("CHAINRULE_THREADS", "2")
    monkeypatch.setattr(prediction, "SHARED_SECONDS", 1e-15)
    monkeypatch.setattr(prediction, "FEWEST_ROWS", 1)
    monkeypatch.setattr(prediction, "MOST_ROWS", ROWS)
    if request.param in {"planned", "native"}:
        monkeypatch.setattr(prediction, "PLANNED_SECONDS", 0.0)
        monkeypatch.setattr(prediction, "PLANNED_ROWS", ROWS)
        monkeypatch.setattr(prediction, "BLOCKS_A_THREAD", 1)
    native = request.param == "native"
    monkeypatch.setattr("chainrule.backends.numpy.LONG_SECONDS", 0.0 if native else np.inf)
    return request.param


def network(seed=0, **given):
    return NeuralNetwork(3, (5, 4), 2, activation="tanh", backend="numpy", seed=seed, **given)


def error(net, X):
    A = evaluation.forward(net._theta, X, net.architecture).A  # (n, 2)
    return relative_error(net.predict(X), A)


@pytest.mark.parametrize("threads", ["1", "2", "3"])
def test_any_number_of_rows_comes_out_as_the_forward_pass_says_in_the_networks_dtype(
    monkeypatch, way, rng, threads
):
    monkeypatch.setenv("CHAINRULE_THREADS", threads)
    for rows in (1, 2, 15, 16, 17, 63, 64, 200):
        assert error(network(), samples(rng, rows, 3)) < 1e-14, rows
    assert network(dtype="float32").predict(samples(rng, 50, 3)).dtype == "float32"


def test_parameters_that_changed_since_the_last_call_count(way, rng, tmp_path):
    net, X, Y = network(), samples(rng, 50, 3), samples(rng, 50, 2)
    said = [net.predict(X)]
    for change in (
        lambda: net.train(X, Y, 3, 0.5, progress=False),
        lambda: net.set_layer(0, W=rng.standard_normal((3, 5))),
        lambda: np.multiply(net._theta, 2.0, out=net._theta),  # written over where it lies
    ):
        change()
        assert error(net, X) < 1e-14
        said.append(net.predict(X))
    assert all(np.abs(x - y).max() > 1e-3 for x, y in pairwise(said))
    net.save(tmp_path / "net.safetensors")
    loaded = NeuralNetwork.load(tmp_path / "net.safetensors", backend="numpy")
    assert np.array_equal(loaded.predict(X), said[-1])


def test_a_network_that_has_predicted_is_copied_and_pickled_without_what_was_prepared(way, rng):
    net, X = network(), samples(rng, 500, 3)
    fresh = len(pickle.dumps(net))
    said = net.predict(X)
    assert len(pickle.dumps(net)) == fresh
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):  # noqa: S301
        assert np.array_equal(other.predict(X), said)


def test_held_out_rows_are_scored_by_the_weights_after_each_epoch(way, rng):
    X, Y = samples(rng, 50, 3), samples(rng, 50, 2)
    given = {"progress": False, "batch_size": 16}
    history = network().train(X, Y, 5, 0.5, validation_data=(X, Y), **given)
    net, losses = network(), []
    for _ in range(5):
        net.train(X, Y, 1, 0.5, **given)
        losses.append(net.evaluate(X, Y).loss)
    assert history["validation_loss"] == pytest.approx(losses, rel=1e-12)


def test_calls_may_overlap_and_blas_has_its_threads_back_afterwards(way, rng):
    cases = [(network(seed), samples(rng, rows, 3)) for seed in (0, 1) for rows in (50, 61)]
    wanted = [net.predict(X) for net, X in cases]
    start, wrong = threading.Barrier(4), []

    def predict(number):
        (net, X), right = cases[number], wanted[number]
        start.wait()
        wrong.extend(1 for _ in range(100) if not np.array_equal(net.predict(X), right))

    with threadpool_limits(2, user_api="blas"):
        threads = [threading.Thread(target=predict, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert set(blas_threads()) == {2}


def test_networks_that_are_equal_are_planned_once_for_any_number_of_rows(way, rng, monkeypatch):
    traced, usual = [], prediction.trace
    prediction._plan.cache_clear()  # another way may have planned it
    monkeypatch.setattr(prediction, "trace", lambda *given: traced.append(1) or usual(*given))
    for rows, seed in ((50, 0), (50, 1), (61, 0), (61, 1)):
        network(seed=seed).predict(samples(rng, rows, 3))
    assert len(traced) == {"written": 0, "kept": 2}.get(way, 1)


def test_calls_leave_nothing_behind_and_parameters_die_with_their_network(way, rng):
    net, X = network(), samples(rng, 200, 3)
    tracemalloc.start()
    held = []
    for _ in "ab":  # the interpreter keeps a few small objects of its own
        for _ in range(10):
            net.predict(X)
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert held[1] - held[0] < 6 * X.nbytes  # not one array a call
    theta = weakref.ref(net._theta)
    del net
    gc.collect()
    assert theta() is None


def test_an_activation_that_looks_at_its_numbers_is_run_as_it_is_written(way, rng):
    def value(Z):
        return np.tanh(Z) if float(Z[0, 0]) < np.inf else Z

    odd = replace(tanh, name="odd", value=value)
    net = NeuralNetwork(3, 5, 2, activation=odd, backend="numpy", seed=0)
    assert error(net, samples(rng, 50, 3)) < 1e-14


def test_few_rows_are_planned_when_they_have_been_predicted_often_with_the_same_bits(rng, monkeypatch):
    traced, usual = [], prediction.trace
    monkeypatch.setattr(prediction, "trace", lambda *given: traced.append(1) or usual(*given))
    net, X = (
        NeuralNetwork(3, (7, 4), 2, loss="cross_entropy", backend="numpy", seed=0),
        samples(rng, 1, 3),
    )
    said = [net.predict(X) for _ in range(2 * prediction.CALLS_AS_WRITTEN)]
    assert len(traced) == 1
    assert all(np.array_equal(P, said[0]) and P is not said[0] for P in said[1:])


def test_what_goes_wrong_in_a_thread_is_raised_and_the_next_call_is_right(way, rng, monkeypatch):
    if way == "kept":
        pytest.skip("all rows at once, in the caller's thread")
    net, X = network(), samples(rng, 50, 3)
    with monkeypatch.context() as broken:
        for name in ("partial", "_bound"):
            broken.setattr(prediction, name, lambda *_: lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            net.predict(X)
    assert error(net, X) < 1e-14


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_threads_of_its_own():
    code = (
        "import os\nfrom chainrule.program.kernels import pool\n"
        "pool(2).submit(int).result()\nchild = os.fork()\n"
        "if child == 0: os._exit(pool(2).submit(int, 7).result(timeout=20))\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 7


def test_what_is_cut_has_blocks_of_bounded_size_and_little_work_is_not_cut(monkeypatch):
    for threads, n, units in product(("1", "2", "16"), (1, 100, 10_000, 1_000_000), (1, 100, 5000)):
        monkeypatch.setenv("CHAINRULE_THREADS", threads)
        how = prediction.cut(np.broadcast_to(0.0, 11 * units), np.broadcast_to(0.0, (n, 10)))
        assert 1 <= how.threads <= int(threads)
        if n * units > 50_000_000:
            assert how.rows <= max(prediction.MOST_ROWS, prediction.PLANNED_ROWS)
        if n * units < 100_000:
            assert how.rows == n


@pytest.mark.parametrize(
    ("rows", "parameters", "is_planned"),
    [(8192, 20_000, False), (1000, 2_000_000, False), (8192, 200_000, True)],
    ids=["many rows, soon done", "few rows", "many rows that take long"],
)
def test_blocks_are_planned_for_many_rows_that_take_long(rows, parameters, is_planned, monkeypatch):
    monkeypatch.setattr(prediction, "threads", lambda: 2)
    theta, X = np.zeros(parameters, np.float32), np.zeros((rows, 64), np.float32)
    assert prediction.cut(theta, X).is_planned == is_planned
