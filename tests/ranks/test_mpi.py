"""Ranks as processes: each test is a job of ``mpiexec``, with two or three ranks and no more, for they spin."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from support.needs import absent, need
from support.streams import folder, rows

pytestmark = need("mpi", module=True)
BIN = Path(sys.executable).parent
MPIEXEC = shutil.which("mpiexec", path=f"{BIN}{os.pathsep}{os.environ['PATH']}")
if MPIEXEC is None:
    absent("mpi", "there is no mpiexec", module=True)

WORDS = "train t.npz --target kind --epochs 9 --early-stopping 9 --batch-size 20 -o m.safetensors"
# The command line, once each rank has printed its process's number.
COMMAND = "import os; os.write(1, b'%d\\n' % os.getpid()); from chainrule.cli.app import main; main()"
LIMIT = 5  # seconds from a fault to the end of a job, on a busy machine too


@pytest.fixture
def table(tmp_path, rng):
    kind = np.where(rng.normal(size=403) > 0, "x", "y")
    np.savez(tmp_path / "t.npz", a=rng.normal(size=403), b=rng.normal(size=403), kind=kind)
    return tmp_path


def job(folder, ranks, *words):
    """Start a job of Python processes."""
    command = [MPIEXEC, "-n", str(ranks), sys.executable, "-c", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, text=True, **pipes)


def ended(process, seconds=60):
    """Return the exit code and the output of a job, which must end in time."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out, err


def test_the_model_file_of_two_ranks_is_that_of_one(table):
    for ranks, kind in ((1, "alone:tree"), (2, "mpi:tree")):
        name = f"{ranks}.safetensors"
        words = WORDS.replace("m.safetensors", name).split()
        code, out, err = ended(job(table, ranks, COMMAND, *words, "--json", "--ranks", kind))
        assert code == 0, err
        assert out.count('"model": ') == err.count("epoch 9/9") == 1  # rank 0 alone prints
        assert "sums by a tree: the same bits on 1, 2, 4 and 8 ranks" in out
    assert (table / "1.safetensors").read_bytes() == (table / "2.safetensors").read_bytes()


SHARDS = """
import json, zlib
from mpi4py import MPI
from chainrule import NeuralNetwork
from chainrule.data.streams import Stream
read, once = set(), Stream.read
def counted(self, block, out=None):
    read.add(block)
    return once(self, block, out)
Stream.read = counted
stream = Stream("rows", "y", window=200).standardized(ranks="mpi")
read.clear()
net = NeuralNetwork(6, 8, 3, loss="cross_entropy", dropout=0.1, seed=1)
net.train(stream, None, 2, batch_size=64, optimizer="adam", validation_fraction=0.2, progress=False, ranks="mpi")
everyone = MPI.COMM_WORLD.gather((sorted(read), zlib.crc32(net.layers[0].W.tobytes())))
if everyone:
    print(json.dumps([everyone, stream.blocks]))
"""


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_read_the_blocks_of_a_folder_once_and_have_the_same_bits(tmp_path, ranks):
    folder(tmp_path / "rows", *rows()[:2])
    code, out, err = ended(job(tmp_path, ranks, SHARDS))
    assert code == 0, err
    everyone, blocks = json.loads(out)
    assert sorted(block for read, _ in everyone for block in read) == blocks
    assert len({bits for _, bits in everyone}) == 1
    words = WORDS.replace("t.npz", "rows").replace("kind", "y").split()
    outcomes = []
    for size, kind in ((1, "alone"), (ranks, "mpi")):
        code, out, err = ended(job(tmp_path, size, COMMAND, *words, "--json", "--ranks", kind))
        assert code == 0, err
        outcomes.append(json.loads(out.splitlines()[-1]))
    assert any(f"{ranks} ranks (mpi)" in note for note in outcomes[1]["notes"])
    assert outcomes[0]["rows"] == outcomes[1]["rows"]
    scores = [outcome["held_out"] for outcome in outcomes]
    assert scores[0]["commonest_class"] == scores[1]["commonest_class"]
    assert abs(scores[0]["accuracy"] - scores[1]["accuracy"]) < 0.2


def test_an_exception_on_one_rank_ends_all_with_its_traceback(tmp_path):
    script = "from chainrule.ranks import join; group = join('mpi'); {0: 1, 1: 1}[group.rank]; group.gather(1)"
    code, _, err = ended(job(tmp_path, 3, script), LIMIT + 5)  # with the start of three processes
    assert code != 0
    assert "rank 2 of 3:" in err
    assert "KeyError: 2" in err
    assert err.count("Traceback") == 1


def test_ranks_started_differently_are_refused_in_one_line(table):
    seeded = [sys.executable, "-c", COMMAND, *WORDS.split(), "--ranks", "mpi", "--seed"]
    command = [MPIEXEC, "-n", "1", *seeded, "0", ":", "-n", "1", *seeded, "1"]
    done = subprocess.run(command, cwd=table, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    line = "error: the ranks differ in seed: '0' on rank 0, '1' on rank 1; start all of them in the same way"
    assert done.stderr.count("error: ") == done.stderr.count(line) == 1
    assert not (table / "m.safetensors").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_job_that_lost_a_rank_or_was_stopped_continues_on_another_number(table, number):
    words = [*WORDS.replace("--epochs 9", "--epochs 60").split(), "--early-stopping", "60"]
    code, _, err = ended(job(table, 1, COMMAND, *words, "--ranks", "alone:tree"))
    assert code == 0, err
    wanted = (table / "m.safetensors").read_bytes()
    (table / "m.safetensors").unlink()
    words += ["--checkpoint", "run", "--checkpoint-seconds", "0", "--resume"]
    process = job(table, 2, COMMAND, *words, "--ranks", "mpi:tree")
    process.stdout.readline()
    last = int(process.stdout.readline())  # of either rank
    while not list(table.glob("run/checkpoint-*")):
        time.sleep(0.01)
    os.kill(last, number)
    code, _, err = ended(process, LIMIT)
    assert code == (75 if number == signal.SIGTERM else 9), err
    assert not (table / "m.safetensors").exists()
    code, _, err = ended(job(table, 1, COMMAND, *words, "--ranks", "mpi:tree"))
    assert code == 0, err
    assert "continuing from" in err
    assert (table / "m.safetensors").read_bytes() == wanted


def test_ctrl_c_on_one_rank_ends_all_after_the_same_step(table):
    words = WORDS.replace("--epochs 9", "--epochs 1000000").replace("--early-stopping 9", "").split()
    process = job(table, 2, COMMAND, *words, "--ranks", "mpi")
    process.stdout.readline()
    last = int(process.stdout.readline())
    while "epoch" not in process.stderr.readline():
        pass
    os.kill(last, signal.SIGINT)
    code, out, err = ended(process, LIMIT)
    assert code == 0, err
    assert "interrupted; what " in out


MANY = """
import numpy as np
from mpi4py.futures import MPIPoolExecutor
from chainrule import NeuralNetwork, train_many

if __name__ == "__main__":  # which the workers import
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    here, there = ([NeuralNetwork(3, 5, 2, loss="cross_entropy", dropout=0.2, seed=k) for k in range(5)] for _ in "ab")
    train_many(here, X, y, 5, batch_size=16)
    with MPIPoolExecutor() as executor:
        train_many(there, X, y, 5, batch_size=16, executor=executor, pack_size=2)
    print([bool((a.predict(X) == b.predict(X)).all()) for a, b in zip(here, there)])
"""


def test_many_networks_on_the_ranks_of_an_executor_have_the_bits_of_one_process(tmp_path):
    (tmp_path / "many.py").write_text(MANY, encoding="utf-8")
    command = [MPIEXEC, "-n", "3", sys.executable, "-m", "mpi4py.futures", "many.py"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False, timeout=60)
    assert done.stdout == f"{[True] * 5}\n", done.stderr


ESTIMATOR = """
import json, zlib
import numpy as np
from mpi4py import MPI
from chainrule import NeuralNetwork
from chainrule.estimators import MLPClassifier
from chainrule.ranks import join
X = np.random.default_rng(0).normal(size=(300, 3))
y = np.where(X[:, 0] > 0.7, "a", "b")
settings = {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2}
model = MLPClassifier((8,), random_state=0, max_iter=30, early_stopping=True, **settings).fit(X, y)
facts = model.n_iter_, model.validation_scores_, model.history_.best_epoch, zlib.crc32(model.predict_proba(X).tobytes())
group = join(MPI.COMM_WORLD)
called = []
net = NeuralNetwork(3, 4, 2, loss="cross_entropy", seed=0)
net.train(X, (y == "a").astype(int), 3, ranks=MPI.COMM_WORLD, progress=False, callbacks=[called.append] * (group.rank == 0))
everyone = group.gather((facts, len(called), join(MPI.COMM_WORLD) is group))
if group.rank == 0:
    print(json.dumps(everyone))
"""


def test_ranks_end_with_one_estimator_and_one_group_for_each_communicator(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_RANKS", "mpi")
    code, out, err = ended(job(tmp_path, 2, ESTIMATOR))
    assert code == 0, err
    (facts, called, is_kept), (others, none, _) = json.loads(out)
    assert facts == others
    assert (called, none, is_kept) == (3, 0, True)


LATE = """
import os, signal, threading, time
from chainrule.ranks import join
from chainrule.ranks.mpi import MPI
MPI.COMM_WORLD.Barrier()  # both have imported the package
if MPI.COMM_WORLD.rank:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
else:
    time.sleep(1.5)
join("mpi").gather(1)
time.sleep(60)
"""


def test_ctrl_c_on_a_rank_that_waits_for_a_late_one_ends_all(tmp_path):
    code, _, err = ended(job(tmp_path, 2, LATE), LIMIT + 5)  # with the start of two processes
    assert code != 0
    assert "rank 1 of 2:" in err
    assert err.count("KeyboardInterrupt") == 1
