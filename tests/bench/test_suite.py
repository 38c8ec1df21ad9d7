"""The benchmarks of `benchmarks/`: they run, their flags work, and the saved facts are right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.cases import cases

import chainrule
from chainrule.bench import roster
from chainrule.bench.cells import PRESETS

ROOT = Path(__file__).parents[2]


TINY = ("--quick", "--grid", "H=4 B=8")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Runs the benchmarks as a user does; returns the exit code and the output."""
    folder = tmp_path_factory.mktemp("bench")
    surroundings = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    path = os.pathsep.join([str(Path(chainrule.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", ROOT / "benchmarks", "-q", "-p", "no:cacheprovider"]
        result = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            env=surroundings | {"PYTHONPATH": path},
            check=False,
        )
        return result.returncode, result.stdout + result.stderr

    return run


def test_every_benchmark_runs_and_is_saved_and_the_next_run_is_compared_with_it(bench, tmp_path):
    missing = [name for name in roster.of(roster.BACKEND) if roster.entry(name).missing()]
    backends = ("--backend", ",".join(["numpy", *missing[:1]]), "--peers", "notebook")
    storage = f"--benchmark-storage=file://{tmp_path}"
    code, output = bench(*TINY, *backends, "--benchmark-autosave", storage, "-vv", "-rs")
    assert code == 0, output
    for operation in ("step", "forward", "epoch", "transfer"):
        assert f"bench_{operation}[digits-numpy-float32-H4-B8] PASSED" in output
    for name in ("notebook", "products-numpy"):
        assert f"bench_step[digits-{name}-float32-H4-B8] PASSED" in output
    assert not missing or "is not installed" in output  # skipped, and the reason is in the summary
    (file,) = tmp_path.glob("*/*.json")
    record = json.loads(file.read_text())
    rows = {(one["group"], one["extra_info"]["backend"]): one for one in record["benchmarks"]}
    row = rows["step: digits float32 H4 B8", "numpy"]
    facts, median = row["extra_info"], row["stats"]["median"]
    assert (facts["hidden"], facts["batch"], facts["dtype"], facts["steps"]) == (4, 8, "float32", 50)
    assert facts["samples_per_second"] == pytest.approx(50 * 8 / median)
    flops = 50 * (4 * 8 * 64 * 4 + 6 * 8 * 4 * 10)
    assert facts["gflop_per_second"] == pytest.approx(flops / median / 1e9)
    machine = record["machine_info"]
    assert {"cpu", "cores", "versions", "gpu", "precision"} <= set(machine["chainrule"])
    assert "node" not in machine
    step = ("--peers", "none", "-k", "bench_step", "--benchmark-compare", storage)
    code, output = bench(*TINY, "--backend", "numpy", *step)
    assert code == 0, output
    assert "machine_info is different" not in output
    for name in ("numpy", "products-numpy"):
        assert f"bench_step[digits-{name}-float32-H4-B8] (NOW)" in output
        assert f"bench_step[digits-{name}-float32-H4-B8] (0001" in output


def test_a_backend_that_is_required_fails_where_it_is_not_installed(bench):
    missing = [name for name in roster.of(roster.BACKEND) if roster.entry(name).missing()]
    if not missing:
        pytest.skip("every backend is installed here")
    flags = ("--backend", missing[0], "--require-backend", missing[0], "--benchmark-disable")
    code, output = bench(*TINY, *flags, "-k", f"bench_step and {missing[0]}")
    assert code == 1
    assert f"--require-backend names {missing[0]}, but" in output


class Flags:
    """A command line, as pytest has it."""

    def __init__(self, **flags):
        self._flags = {"quick": False, **flags}

    def getoption(self, name):
        return self._flags.get(name.removeprefix("--"), "")


@pytest.mark.parametrize(
    ("flag", "text", "error"),
    [
        ("backend", "numpi", r"unknown contestant .numpi.; did you mean .numpy.\?"),
        ("backend", "notebook", "'notebook' is a peer, not a backend; known: numpy, "),
        ("grid", "H=4", "grid 'H=4': wanted both axes"),
        ("preset", "mnits", r"unknown preset 'mnits'; did you mean 'mnist'\?"),
        ("dtype", "float16", "unknown dtype 'float16'"),
        ("require-backend", "numpi", "unknown contestant 'numpi'"),
        ("threads", "two", "--threads two: wanted whole numbers"),
    ],
)
def test_a_flag_says_what_it_wanted(flag, text, error):
    with pytest.raises(pytest.UsageError, match=error):
        cases(Flags(**{flag: text}), "step")


def test_presets_dtypes_and_threads_multiply_and_are_in_the_names():
    flags = Flags(grid="H=4 B=8", backend="numpy", preset="tabular,deep", dtype="float32,float64")
    assert [case.name for case in cases(flags, "epoch")] == [
        f"{preset}-numpy-{dtype}-H4-B8"
        for preset in ("tabular", "deep")
        for dtype in ("float32", "float64")
    ]
    every = cases(Flags(grid="H=4 B=8", backend="numpy", preset="all", threads="1,2,4"), "epoch")
    assert {case.preset for case in every} == set(PRESETS)
    assert [case.name for case in every if case.preset == "mnist"] == [
        f"mnist-numpy-float32-H4-B8-T{threads}" for threads in (1, 2, 4)
    ]


def test_by_default_everything_installed_takes_part_with_the_products_of_its_library():
    names = {case.backend for case in cases(Flags(quick=True), "step")}
    at_hand = {name for name, entry in roster.ROSTER.items() if entry.is_at_hand}
    assert {"numpy", "products-numpy", "notebook"} <= names <= at_hand
    assert {name for name in at_hand if roster.entry(name).group == roster.BACKEND} <= names
    assert not any(roster.entry(name).is_slow_to_make for name in names)
    assert len(cases(Flags(quick=True), "step")) == len(names) * 9
