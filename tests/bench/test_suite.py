"""The suite of `benchmarks/`: it runs, its flags do what they say, and what it saves can be read again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import chainrule
from chainrule.bench import roster
from chainrule.bench.cells import PRESETS
from chainrule.cli.bench import options

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))  # where its conftest finds its rooms

from suite.cases import cases

TINY = ("--quick", "--grid", "H=4 B=8")
OURS = ("--backend", "numpy", "--peers", "notebook")


def suite(*arguments, where="benchmarks"):
    """Run the benchmarks as their user does; return the exit code and what was printed."""
    path = os.pathsep.join([str(Path(chainrule.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", where, "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_benchmark_runs_once_where_nothing_is_timed():
    code, said = suite(*TINY, *OURS, "--benchmark-disable", "-vv")
    assert code == 0, said
    for kind in ("step", "forward", "epoch", "transfer"):
        assert f"bench_{kind}[digits-numpy-float32-H4-B8] PASSED" in said
    assert "bench_peers[digits-notebook-float32-H4-B8] PASSED" in said
    assert "bench_products[digits-products-numpy-float32-H4-B8] PASSED" in said


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """What the benchmark of a step saves, and what it prints."""
    file = tmp_path_factory.mktemp("saved") / "saved.json"
    code, said = suite(
        *TINY, "--backend", "numpy", "--benchmark-json", str(file), where="benchmarks/bench_step.py"
    )
    assert code == 0, said
    return json.loads(file.read_text()), said


def test_the_columns_are_seconds_a_step_and_few(saved):
    record, said = saved
    (one,) = record["benchmarks"]
    assert "Min" in said
    assert "StdDev" not in said
    assert one["group"] == "step: digits, batch 8"
    # By the worker's clock; by ours the same with the way to it and back.
    walls = one["extra_info"]["wall_s"]
    assert all(wall > worker for wall, worker in zip(walls, one["stats"]["data"], strict=True))
    assert one["extra_info"]["round_trip_s"] > 0


def test_what_is_saved_says_what_was_timed_beside_what_and_on_what(saved):
    record, _ = saved
    (one,) = record["benchmarks"]
    facts = one["extra_info"]
    rounds = one["stats"]["rounds"]
    assert len(facts["products_s"]) == len(facts["wall_s"]) == len(facts["enqueued_s"]) == rounds
    assert all(products > 0 for products in facts["products_s"])
    assert facts["flops"] == 4 * 8 * 64 * 4 + 6 * 8 * 4 * 10
    assert facts["counts"]["products"] == 5
    assert facts["check"]["share_of_tolerance"] <= 1
    assert (facts["cell"], facts["steps"]) == ("64-4-10,8", 50 * facts["passes"])
    here = record["machine_info"]["chainrule"]
    assert {"cpu", "cores", "blas", "versions", "gpu", "precision", "variables"} <= set(here)
    assert "node" not in record["machine_info"]
    worker = record["environments"][facts["environment"]]
    assert worker["versions"] == here["versions"]
    assert "load" in worker


def test_what_is_not_installed_is_skipped_unless_it_is_required():
    missing = [name for name in roster.of(roster.BACKEND) if roster.entry(name).missing()]
    if not missing:
        pytest.skip("every backend is installed here")
    step, (absent, *_) = "benchmarks/bench_step.py", missing
    flags = (*TINY, "--backend", absent, "--benchmark-disable")
    code, said = suite(*flags, where=step)
    assert (code, "is not installed" in said) == (0, True), said
    code, said = suite(*flags, "--require-backend", absent, where=step)
    assert code == 1
    assert f"--require-backend names {absent}, but" in said


def test_a_flag_that_names_nothing_known_is_told_in_one_line():
    code, said = suite("--backend", "numpi", "--collect-only", where="benchmarks/bench_step.py")
    assert code == 4
    assert "unknown contestant 'numpi'; did you mean 'numpy'?" in said


class Flags:
    """A command line, as pytest has it."""

    def __init__(self, **given):
        self._given = {"quick": False, **given}

    def getoption(self, name):
        return self._given.get(name.removeprefix("--"))


@pytest.mark.parametrize(
    ("flag", "given", "said"),
    [
        ("backend", "notebook", "'notebook' is a peer, not a backend; known: numpy, "),
        ("grid", "H=4", "grid 'H=4': wanted both axes"),
        ("preset", "mnits", r"unknown preset 'mnits'; did you mean 'mnist'\?"),
        ("dtype", "float16", "unknown dtype float16"),
        ("require-backend", "numpi", "unknown contestant 'numpi'"),
        ("threads", "two", "--threads two: wanted whole numbers with commas, or best"),
    ],
)
def test_a_flag_says_what_it_wanted(flag, given, said):
    with pytest.raises(pytest.UsageError, match=said):
        cases(Flags(**{flag: given}), roster.BACKEND, "step")


def test_presets_dtypes_and_threads_multiply_and_stand_in_the_names():
    flags = Flags(
        grid="H=4 B=8", backend="numpy", preset="tabular,deep", dtype="float32,float64", threads="0,1"
    )
    assert [case.name for case in cases(flags, roster.BACKEND, "step")] == [
        f"{preset}-numpy-{dtype}-H4-B8{threads}"
        for preset in ("tabular", "deep")
        for dtype in ("float32", "float64")
        for threads in ("", "-T1")
    ]


def test_all_presets_and_the_best_number_of_threads_can_be_asked_for(monkeypatch):
    monkeypatch.setattr(options, "cores", lambda: 5)
    flags = Flags(grid="H=4 B=8", backend="numpy", preset="all", threads="best")
    found = cases(flags, roster.BACKEND, "step")
    assert {case.preset for case in found} == set(PRESETS)
    assert sorted({case.threads for case in found}) == [1, 2, 4]


def test_what_is_installed_takes_part_and_products_are_those_of_its_libraries():
    flags = Flags(quick=True)
    backends = {case.contestant for case in cases(flags, roster.BACKEND, "step")}
    assert backends == {n for n in roster.of(roster.BACKEND) if not roster.entry(n).missing()}
    products = {case.contestant for case in cases(flags, roster.PRODUCTS, "step")}
    assert products == {roster.products_of(name) for name in backends}
    peers = {case.contestant for case in cases(flags, roster.PEER, "step")}
    assert "notebook" in peers
    assert not any(roster.entry(name).is_slow_to_make for name in peers)
    assert len(cases(flags, roster.BACKEND, "step")) == len(backends) * 9
