"""Ranks train as one process does: the same network, up to rounding, and the same bits on each of them."""

from functools import partial

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.mathematics.schedules import cosine
from chainrule.program import row_blocks, steps
from support.compare import parameters
from support.ranks import run

RNG = np.random.default_rng(0)
X, Y, WEIGHTS = RNG.normal(size=(57, 6)), RNG.integers(0, 3, 57), RNG.random(57) + 0.5


def trained(ranks="alone", backend="numpy", dtype="float64", network=None, epochs=4, **given):
    """Return weights and history: a ragged batch, Adam, dropout, decay, clipping, weights, held-out rows."""
    settings = {"dropout": 0.2, "weight_decay": 0.01, "clip_norm": 1.0, "dtype": dtype, "seed": 1}
    net = network or NeuralNetwork(
        6, (9, 8), 3, activation="tanh", loss="cross_entropy", backend=backend, **settings
    )
    usual = {"batch_size": 20, "optimizer": "adam", "validation_fraction": 0.2, "early_stopping": 3}
    given = {"sample_weight": WEIGHTS, "progress": False, "ranks": ranks, **usual, **given}
    history = net.train(X, Y, epochs, cosine(0.05), **given)
    return parameters(net), history


def assert_alike(runs):
    for weights, history in runs:
        np.testing.assert_array_equal(weights, runs[0][0])
        assert history["loss"] == runs[0][1]["loss"]
        assert history["validation_loss"] == runs[0][1]["validation_loss"]


@pytest.mark.parametrize("given", [{}, {"batch_size": None}, {"compile": False}], ids=str)
def test_ranks_hold_the_same_bits_and_train_what_one_process_does(backend, given):
    given = {"epochs": 2} | given
    weights, history = trained(backend=backend, **given)
    # Of 8 ranks, some have no rows of the last batch. JAX compiles each number of rows, which takes long.
    for size in (3,) if backend.name.startswith("jax") else (2, 3, 8):
        runs = run(size, lambda group: trained(group, backend, **given))
        assert_alike(runs)
        np.testing.assert_allclose(runs[0][0], weights, rtol=1e-6, atol=1e-9)
        for column in ("loss", "validation_loss", "validation_accuracy"):
            np.testing.assert_allclose(runs[0][1][column], history[column], rtol=1e-6)
        assert any(note.startswith(f"{size} ranks (threads)") for note in runs[0][1].notes)


def test_the_sum_by_a_tree_has_the_same_bits_on_any_number_of_ranks(backend):
    alone = trained("alone:tree", backend, epochs=2)
    for size in (2, 4, 8):
        assert_alike([alone, *run(size, lambda group: trained(group, backend, epochs=2), tree=True)])


@pytest.mark.needs("jit")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_native_code_takes_part_in_threads_too(monkeypatch, dtype):
    monkeypatch.setattr(steps, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(row_blocks, "_SHARED_FLOPS", 0)
    monkeypatch.setattr(row_blocks, "_SHARED_ROWS", 1)
    near = {"rtol": 1e-9, "atol": 1e-11} if dtype == "float64" else {"rtol": 2e-4, "atol": 2e-5}
    weights, _ = trained(dtype=dtype)
    tree = trained("alone:tree", dtype=dtype, threads=1)
    for size in (2, 4):
        runs = run(size, lambda group: trained(group, dtype=dtype, threads=2))
        assert_alike(runs)
        np.testing.assert_allclose(runs[0][0], weights, **near)
        runs = run(size, lambda group: trained(group, dtype=dtype, threads=2), tree=True)
        assert_alike([tree, *runs])


def test_a_batch_of_fewer_rows_than_ranks(backend):
    given = {"backend": backend, "batch_size": 2, "epochs": 1}
    weights, _ = trained(**given)
    for tree in (False, True):
        runs = run(4, lambda group: trained(group, **given), tree=tree)
        assert_alike(runs)
        np.testing.assert_allclose(runs[0][0], weights, rtol=1e-6, atol=1e-9)


def test_a_checkpoint_continues_on_another_number_of_ranks(tmp_path):
    wanted = trained("alone:tree")
    how = {"checkpoint": tmp_path / "run", "checkpoint_seconds": 0, "resume": True}

    def stop(record):
        return record.epoch == 1 or None

    run(4, lambda group: trained(group, callbacks=[stop], **how), tree=True)
    for file in sorted((tmp_path / "run").glob("*.safetensors"))[-1:]:
        file.unlink()  # of the run that is over; the one before it stands within the epoch
    got = run(2, lambda group: trained(group, **how), tree=True)
    assert_alike([wanted, *got])


def test_only_rank_0_calls_back_and_shows(capsys):
    called = []

    def callback(record):
        called.append(record.epoch)
        return record.epoch == 1

    def on_rank_0(group):
        return trained(group, progress=None, print_every=1, callbacks=[callback] * (group.rank == 0))

    runs = run(3, on_rank_0)
    assert called == [0, 1]
    assert [len(history) for _, history in runs] == [2, 2, 2]
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["epoch 1/4", "epoch 2/4"]


def test_ranks_that_differ_are_refused_and_an_error_on_one_ends_all(tmp_path):
    def seeded(group):
        net = NeuralNetwork(6, 4, 3, loss="cross_entropy", seed=group.rank)
        return trained(group, network=net)

    with pytest.raises(ValueError, match="the ranks differ in seed: '0' on rank 0, '1' on rank 1"):
        run(2, seeded)

    def on_rank_1(group, **given):
        given = given if group.rank else {}
        return trained(group, validation_fraction=None, early_stopping=None, **given)

    for given in ({"checkpoint": tmp_path}, {"validation_data": (X, Y)}, {"sharded": True}):
        (name,) = given
        message = f"the ranks differ in {name}: 'False' on rank 0, 'True' on"
        with pytest.raises(ValueError, match=message):
            run(2, partial(on_rank_1, **given))

    def failing(record):
        raise KeyError(record.epoch)

    with pytest.raises(KeyError):
        run(3, lambda group: trained(group, callbacks=[failing]))
