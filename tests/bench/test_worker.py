"""The worker and its process: what a contestant may do without spoiling the measurement, or outliving it."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import chainrule.bench.measure.process as process_room
from chainrule.bench.measure.limits import FINE
from chainrule.bench.measure.process import CAN_STOP, Process
from chainrule.bench.measure.worker import serve
from support.contestants import HERE, TICKS

CELL = "2-4-1,4"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


def made(process, contestant, cell=CELL, operation="step"):
    return process.ask(
        "make", contestant=contestant, cell=cell, operation=operation, warm=0.0, block=0.0005
    )


def served(*requests):
    answers = io.StringIO()
    serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_a_contestant_is_made_checked_and_timed_with_its_threads_and_processors(process):
    answer = made(process, "notebook")
    assert answer["status"] == "ok"
    assert answer["check"]["share_of_tolerance"] <= 1
    assert answer["steps"] == 50
    began = time.perf_counter()
    took = process.ask("time", passes=answer["passes"])
    assert 0 < took["seconds"] < time.perf_counter() - began
    facts = answer["environment"]
    assert facts["cores"] == 1
    assert {library["num_threads"] for library in facts["blas"]} == {1}
    assert facts["variables"]["OMP_NUM_THREADS"] == "1"


def test_a_pass_takes_at_least_its_time_by_the_clock_and_by_the_processors_what_it_computes(process):
    answer = made(process, f"{HERE}sleeps")
    assert answer["first_call"] >= 0.002
    assert answer["pass"] >= 0.002
    assert process.ask("time", passes=5)["seconds"] >= 5 * 0.002
    if time.get_clock_info("process_time").resolution > FINE:
        pytest.skip("the processor's clock is too coarse here")
    began = time.perf_counter()
    took = process.ask("time", passes=5, again=False, clock="processor")
    assert took["seconds"] <= time.perf_counter() - began - 5 * 0.002


def test_what_is_not_installed_is_skipped_with_its_name(monkeypatch):
    monkeypatch.setattr("chainrule.bench.roster.find_spec", lambda _: None)
    request = {"contestant": "sklearn", "cell": CELL, "operation": "step", "warm": 0.0, "block": 0.0}
    (answer,) = served({"do": "make", **request})
    assert answer == {"status": "skipped", "reason": "sklearn is not installed"}


def test_jax_on_a_gpu_says_nothing_about_the_cpu(monkeypatch):
    backend = SimpleNamespace(describe=lambda: "jax:gpu:0")
    monkeypatch.setattr("chainrule.bench.measure.worker.backends.named", lambda _: backend)
    assert served({"do": "rates", "library": "jax", "dtype": "float32", "threads": 0}) == [{}]


def test_a_process_outlives_wrong_steps_errors_and_printing_but_not_a_crash(process):
    answer = made(process, f"{HERE}wrong")
    assert answer["status"] == "wrong"
    assert "after 50 steps" in answer["reason"]
    assert "passes" not in answer
    assert made(process, f"{HERE}raises") == {"status": "failed", "reason": "OSError: no such thing"}
    assert made(process, f"{HERE}prints")["status"] == "ok"
    assert process.ask("time", passes=3)["seconds"] > 0
    assert made(process, f"{HERE}crashes") == {"status": "failed", "reason": "its process ended"}
    assert not process.is_alive
    assert process.ask("time", passes=1)["status"] == "failed"


@pytest.mark.usefixtures("_own_contestants")
@pytest.mark.parametrize(
    ("asked", "refused", "status"), [("0", "", "wrong"), ("1", "0", "wrong"), ("1", "", "ok")]
)
def test_products_of_10_bits_are_right_only_where_tf32_was_asked_for(
    asked, refused, status, monkeypatch
):
    monkeypatch.setenv("CUPY_TF32", asked)
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", refused)
    process = Process()
    try:
        for cell in ("784-64-10,16", "64-16-16-8,16,adam"):
            assert made(process, f"{HERE}rounded", cell)["status"] == status
        assert made(process, f"{HERE}wrong", "784-64-10,16")["status"] == "wrong"
    finally:
        process.end()


@pytest.mark.skipif(not CAN_STOP, reason="no answer is awaited for a limited time here")
def test_a_process_that_hangs_is_ended(process, monkeypatch):
    made(process, "notebook")  # imported: what follows hangs, and is not only slow
    monkeypatch.setattr(process_room, "PATIENCE", 0.3)
    assert made(process, f"{HERE}hangs") == {"status": "failed", "reason": "no answer within 0 s"}
    assert not process.is_alive


@pytest.mark.usefixtures("_own_contestants")
@pytest.mark.skipif(not CAN_STOP, reason="processes cannot be stopped here")
def test_nothing_of_a_process_runs_while_it_is_not_its_turn(tmp_path, monkeypatch):
    file = tmp_path / "ticks"
    monkeypatch.setenv(TICKS, str(file))
    process = Process()
    try:
        made(process, f"{HERE}ticks")
        assert comes_to(process._process.pid, "T")
        stands = file.stat().st_size
        time.sleep(0.1)  # a hundred ticks
        assert file.stat().st_size == stands
        process.ask("time", passes=50)
        assert file.stat().st_size > stands
    finally:
        process.end()


@on_linux
def test_a_stopped_process_ends_with_a_parent_that_is_killed():
    code = (
        "import time; from chainrule.bench.measure.process import Process; p = Process(); p.ask('drop');"
        "print(p._process.pid, flush=True); time.sleep(1e6)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        child = int(parent.stdout.readline())
        assert comes_to(child, "T")
    finally:
        parent.kill()
        parent.communicate()
    assert comes_to(child, "ZX")


def comes_to(pid, states):
    """Return whether a process gets into one of these states: a signal takes a moment to arrive."""
    until = time.monotonic() + 60
    while state(pid) not in states and time.monotonic() < until:
        time.sleep(0.005)
    return state(pid) in states


def state(pid):
    """Return the letter that Linux has for a process: T is stopped, Z has ended, X is no more.

    Of threads that are not all in the same state, the letters one after the other.
    """
    try:
        each = [file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:
        each = []
    return "".join(sorted({text.rpartition(")")[2].split()[0] for text in each})) or "X"


def test_a_process_that_is_interrupted_ends_so_that_its_answer_is_not_taken_for_the_next(
    process, monkeypatch
):
    made(process, "notebook")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(process_room, "_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.ask("time", passes=1)
    assert not process.is_alive
