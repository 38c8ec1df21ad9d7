"""Checkpoints: a run that was stopped at any moment ends with the bits of one that never was."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.mathematics.schedules import cosine
from chainrule.saving import checkpoint
from chainrule.training import run
from chainrule.training.resuming import RunFolder
from support.compare import parameters
from support.data import samples

KILLS, RUNS, STEPS = (50, 10_000, 1_000_000) if os.environ.get("SOAK") else (4, 20, 2000)
WORDS = "train t.npz --target kind --epochs 40 --early-stopping 30 --batch-size 10 -o m.safetensors"


def trained(folder=None, rows=57, epochs=12, seed=1, network=None, **given):
    """Return a network and its history: Adam, dropout, a ragged batch, early stopping on held-out rows."""
    rng = np.random.default_rng(0)
    X, y = samples(rng, rows, 6), rng.integers(0, 3, rows)
    settings = {"activation": "relu", "loss": "cross_entropy", "dropout": 0.2, "seed": seed}
    net = network or NeuralNetwork(6, (9, 8), 3, backend=given.pop("backend", None), **settings)
    how = {"batch_size": 10, "optimizer": "adam", "early_stopping": 9, "validation_fraction": 0.2}
    how |= given
    if folder is not None:
        how = {"checkpoint": folder, "checkpoint_seconds": 0, "resume": True, **how}
    return net, net.train(X, y, epochs, cosine(0.05), progress=False, **how)


def assert_same(run, other):
    """Compare the weights of two runs, and what they record apart from the time."""
    np.testing.assert_array_equal(parameters(run[0]), parameters(other[0]))
    for column in ("loss", "validation_loss", "validation_accuracy", "learning_rate"):
        assert run[1][column] == other[1][column]
    assert (run[1].best_epoch, run[1].interrupted) == (other[1].best_epoch, other[1].interrupted)


@pytest.mark.parametrize("batch_size", [10, None])
def test_a_run_that_ctrl_c_stops_again_and_again_ends_as_if_it_never_was(
    tmp_path, monkeypatch, backend, batch_size
):
    monkeypatch.setattr(run, "SPAN_SECONDS", 0)  # a checkpoint may stand after every step
    wanted = trained(backend=backend, batch_size=batch_size)
    passes, usual, steps = 0, RunFolder.keep, []

    def keep(folder, snapshot):
        usual(folder, snapshot)
        steps.append(len(snapshot[0]["losses"]))
        if len(steps) % 7 == 0:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(RunFolder, "keep", keep)
    got = None
    while got is None or got[1].interrupted:
        got, passes = trained(tmp_path / "run", backend=backend, batch_size=batch_size), passes + 1
    assert_same(got, wanted)
    assert passes > 1
    assert (set(steps) == set(range(5))) == (batch_size is not None)
    assert_same(trained(tmp_path / "run", backend=backend, batch_size=batch_size), wanted)  # it is over


def test_a_killed_run_ends_with_the_file_of_one_that_was_not(tmp_path, rng):
    kind = np.where(rng.normal(size=1203) > 0, "x", "y")
    np.savez(tmp_path / "t.npz", a=rng.normal(size=1203), b=rng.normal(size=1203), kind=kind)
    command = [sys.executable, "-m", "chainrule", *WORDS.split()]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    wanted, moments, kills = (tmp_path / "m.safetensors").read_bytes(), random.Random(0), 0  # noqa: S311  no secret
    command += ["--checkpoint", "run", "--checkpoint-seconds", "0.01", "--resume"]
    while kills < KILLS:
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        (tmp_path / "m.safetensors").unlink()
        while not (tmp_path / "m.safetensors").exists():
            with subprocess.Popen(command, cwd=tmp_path, text=True, stderr=subprocess.PIPE) as process:
                line = process.stderr.readline()
                assert line.startswith(("no checkpoint in run", "continuing from run"))
                time.sleep(moments.uniform(0.0, 0.4))
                if kills < KILLS and process.poll() is None:
                    process.kill()
                    kills += 1
                process.communicate()
        assert (tmp_path / "m.safetensors").read_bytes() == wanted


@pytest.mark.parametrize("stop", ["SIGTERM", "--deadline 0.5"])
def test_sigterm_and_the_deadline_leave_a_checkpoint_and_exit_75(tmp_path, rng, stop):
    kind = np.where(rng.normal(size=400) > 0, "x", "y")
    np.savez(tmp_path / "t.npz", a=rng.normal(size=400), kind=kind)
    words = WORDS.replace("--epochs 40", "--epochs 1000000") + " --checkpoint run"
    command = [sys.executable, "-m", "chainrule", *words.replace("30", "1000000").split()]
    command += stop.split() if stop.startswith("--") else []
    with subprocess.Popen(command, cwd=tmp_path, text=True, stderr=subprocess.PIPE) as process:
        line = process.stderr.readline()
        if stop == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        rest = line + process.communicate()[1]
    assert process.returncode == 75
    assert "then writing a checkpoint to run" in rest
    assert rest.endswith("of 1000000; the same command with --resume continues\n")
    assert len(list((tmp_path / "run").glob("checkpoint-*"))) > 1
    assert not (tmp_path / "m.safetensors").exists()


def test_the_newest_good_checkpoint_is_used_whatever_the_clock_says(tmp_path, capfd):
    run = tmp_path / "run"
    wanted = trained(run)
    third, second, newest = sorted(run.glob("checkpoint-*"))
    for file, age in ((newest, 9e8), (second, 8e8), (third, 7e8)):
        os.utime(file, (1.7e9 - age, 1.7e9 - age))
    newest.write_bytes(newest.read_bytes()[:-100])
    NeuralNetwork(2, 3, 1).save(run / "checkpoint-000099.safetensors")
    (run / "checkpoint-000100.safetensors").mkdir()
    got = trained(run)
    assert_same(got, wanted)
    assert [line.split(" ")[0] for line in got[1].notes] == [
        str(run / "checkpoint-000100.safetensors"),
        str(run / "checkpoint-000099.safetensors"),
        str(newest),
        "continuing",
    ]
    assert capfd.readouterr().err.endswith("\n".join([*got[1].notes, ""]))
    assert max(run.glob("checkpoint-*")).name > "checkpoint-000100.safetensors"


def test_a_folder_is_of_one_run_and_other_settings_are_named(tmp_path):
    run = tmp_path / "run"
    trained(run)
    before = {path: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(FileExistsError, match="holds a run already; resume it, or give another folder"):
        trained(run, resume=False)
    for given, name in (
        ({"epochs": 13}, r"epochs \(it has 12, now 13\); give"),
        ({"batch_size": 11}, "batch size"),
        ({"rows": 58}, "data"),
        ({"optimizer": "adamw", "seed": 2}, "seed .*, optimizer"),
        ({"early_stopping": 8}, r"in early stopping"),
    ):
        with pytest.raises(ValueError, match=name):
            trained(run, **given)
    assert {path: path.read_bytes() for path in run.iterdir()} == before
    with pytest.raises(BlockingIOError, match="another run uses the folder"):
        trained(tmp_path / "new", callbacks=[lambda _: trained(tmp_path / "new")])
    newest = max(run.glob("checkpoint-*"))
    arrays, record = checkpoint.read(newest)
    del record["settings"]["network"]
    checkpoint.write(newest, arrays, record)
    with pytest.raises(ValueError, match="another version of chainrule began the run in "):
        trained(run)


def test_a_full_disk_ends_no_training_and_leaves_the_last_good_checkpoint(tmp_path, monkeypatch, capfd):
    run, sync, written = tmp_path / "run", os.fsync, []

    def full(descriptor):
        written.append(1)
        if len(written) > 3:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    wanted = trained()
    monkeypatch.setattr(os, "fsync", full)
    assert_same(trained(run), wanted)
    line = f"no checkpoint could be written to {run}: No space left on device; make room there"
    assert f"{line}; training continues\n" in capfd.readouterr().err
    with pytest.raises(OSError, match="No space left"):  # at the start it is an error
        trained(tmp_path / "other")
    monkeypatch.setattr(os, "fsync", sync)
    assert len([checkpoint.read(file) for file in run.glob("checkpoint-*")]) == 3
    assert_same(trained(run), wanted)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_many_runs_and_steps_leave_no_memory_threads_or_files_behind(tmp_path):
    def train(folder, epochs, rows, **when):
        X = samples(np.random.default_rng(0), rows, 4)
        net = NeuralNetwork(4, 6, 1, dropout=0.1, seed=0)
        how = {"batch_size": 5, "optimizer": "adam", "validation_data": (X[:9], X[:9, :1])}
        how |= {"progress": False, "checkpoint": folder, **when}
        net.train(X, X[:, :1], epochs, 0.001, **how)
        net.predict(X)

    def used():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        files = len(list(Path("/proc/self/fd").iterdir()))
        return pages * resource.getpagesize(), threading.active_count(), files

    train(tmp_path / "first", 1, 5000)  # loads what compiles steps
    before = None
    for number in range(RUNS):
        train(tmp_path / "run", 3, 17, checkpoint_seconds=0)
        shutil.rmtree(tmp_path / "run")
        if number == RUNS // 10:
            before = used()
    train(tmp_path / "long", 1 + STEPS // 1000, 5000, checkpoint_epochs=1)
    after = used()
    assert after[0] - before[0] < 20e6
    assert after[1:] == before[1:]
    assert len(list((tmp_path / "long").iterdir())) == 4  # three checkpoints and the lock


def test_every_so_many_epochs_and_seconds_and_three_are_kept(tmp_path):
    def epochs(**given):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        seen = []

        def look(_):
            seen.append(len(list((tmp_path / "run").glob("checkpoint-*"))))

        trained(tmp_path / "run", epochs=7, callbacks=[look], checkpoint_seconds=1e6, **given)
        return seen

    assert epochs() == [1] * 7
    assert epochs(checkpoint_epochs=3) == [1, 1, 1, 2, 2, 2, 3]
    assert epochs(checkpoint_epochs=1) == [1, 2, 3, 3, 3, 3, 3]
