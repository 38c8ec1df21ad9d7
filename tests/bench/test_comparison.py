"""Comparison of two runs: verdicts, what is refused, and what is said of runs that were not paired."""

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.bench.cells import parse
from chainrule.bench.judge.comparison import NOT_PAIRED, compare, compare_contestants
from chainrule.bench.store import Records
from chainrule.cli import bench
from chainrule.cli.app import app
from support.runs import a_run

SMALL, LARGE = parse("64-16-10,32"), parse("64-1024-10,256")


def two_cells(slower=1.0, **facts):
    small, large = {"numpy": 1e-5 * slower, "torch": 9e-5}, {"numpy": 7e-4, "torch": 9e-4}
    return a_run({SMALL: small, LARGE: large}, **facts)


def verdicts(comparison):
    return {(row.contestant, row.cell): row.verdict for row in comparison.rows}


def test_a_run_and_its_repetition_are_the_same_and_not_paired():
    comparison = compare(two_cells(), two_cells(run="tuesday"))
    assert set(verdicts(comparison).values()) == {"same"}
    assert all(mean.ratio.low < 1.0 < mean.ratio.high for mean in comparison.means)
    assert not any(row.is_paired for row in comparison.rows)
    assert comparison.notes[0] == NOT_PAIRED


def test_a_slowdown_shows_in_its_own_row_alone():
    comparison = compare(two_cells(), two_cells(1.2, run="tuesday"))
    slower = verdicts(comparison)
    assert slower.pop(("numpy", SMALL.name)) == "slower"
    assert list(slower.values()) == ["same"] * 3
    assert [row.cell for row in comparison.slower] == [SMALL.name]
    numpy, torch = comparison.means
    assert numpy.ratio.estimate == pytest.approx(1.2**0.5, rel=0.01)
    assert (numpy.cell, torch.cell) == ("mean of 2", "mean of 2")
    turned = compare(two_cells(1.2), two_cells(run="tuesday"))
    assert verdicts(turned)["numpy", SMALL.name] == "faster"


def test_the_command_prints_each_ratio_with_its_interval_and_verdict(monkeypatch):
    monkeypatch.setattr(
        bench, "read", lambda path: two_cells(1.2 if path.name == "b" else 1, run=path.name)
    )
    result = CliRunner().invoke(app, ["bench", "compare", "a", "b", "--json", "--fail"])
    assert result.exit_code == bench.SLOWER
    record = json.loads(result.stdout)
    first, mean = record["rows"][0], record["rows"][-2]
    assert (first["cell"], first["contestant"], first["verdict"]) == (SMALL.name, "numpy", "slower")
    assert 1.19 < float(first["times"]) < 1.21
    low, high = map(float, first["95 % interval"].split(" to "))
    assert low <= float(first["times"]) <= high
    assert (mean["contestant"], mean["cell"]) == ("numpy", "mean of 2")


def test_two_sides_of_one_run_are_compared_in_pairs_and_a_drift_cancels():
    ramp = np.linspace(0.0, np.log(1.5), 45).reshape(3, 15)
    both = a_run({SMALL: {"numpy": 1e-5, "torch": 1e-5}}, drift=ramp).measurements
    before, after = (
        Records(measurements=[replace(m, contestant="numpy") for m in both if m.contestant == name])
        for name in ("numpy", "torch")
    )
    comparison = compare(before, after)
    assert [(row.is_paired, row.verdict) for row in comparison.rows] == [(True, "same")]
    assert NOT_PAIRED not in comparison.notes


def test_two_contestants_of_one_run_are_compared_in_pairs():
    comparison = compare_contestants(two_cells(), "torch", "numpy")
    assert [row.ratio.estimate for row in comparison.rows] == pytest.approx([1 / 9, 7 / 9], rel=0.02)
    assert all(row.is_paired and row.verdict == "faster" for row in comparison.rows)


@pytest.mark.parametrize(
    ("fact", "other"),
    [
        ("cpu", "Another Processor"),
        ("cores", 4),
        ("gpu", {"name": "A Device", "clocks.sm": "1000 MHz"}),
        ("precision", {"torch": "high"}),
        ("variables", {"NVIDIA_TF32_OVERRIDE": "0"}),
        ("blas", [{"internal_api": "mkl", "version": "2025.1", "num_threads": 2}]),
        ("blas", [{"internal_api": "openblas", "version": "0.3.30", "num_threads": 1}]),
    ],
)
def test_runs_of_different_machines_are_refused_and_the_fact_is_named(fact, other):
    there = two_cells(run="tuesday", **{fact: other})
    with pytest.raises(ValueError, match=f"{fact}.*--force"):
        compare(two_cells(), there)
    forced = compare(two_cells(), there, force=True)
    assert any(note.startswith(f"different machines: {fact}") for note in forced.notes)
    assert len(forced.rows) == 4


def test_the_clock_of_a_device_makes_no_other_machine():
    slow, fast = ({"gpu": {"name": "A Device", "clocks.sm": clock}} for clock in ("900", "1000"))
    assert len(compare(two_cells(**slow), two_cells(run="tuesday", **fast)).rows) == 4


def test_another_version_is_what_one_compares_and_is_noted():
    newer = two_cells(run="tuesday", versions={"numpy": "2.5.0", "chainrule": "0.1.0"})
    assert "changed: versions numpy: 2.4.6, then 2.5.0" in compare(two_cells(), newer).notes


def test_a_note_names_what_only_one_run_measured():
    after = two_cells(run="tuesday")
    after.measurements = [
        replace(one, status="failed", seconds=(), rounds=())
        if (one.contestant, one.cell) == ("torch", SMALL)
        else one
        for one in after.measurements
    ]
    comparison = compare(two_cells(), after)
    assert ("torch", SMALL.name) not in verdicts(comparison)
    assert "in one run only: torch in 64-16-10,32" in comparison.notes


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="hold the same measurements; give another run"):
        compare(two_cells(), two_cells())
    with pytest.raises(ValueError, match="no contestant in a common cell"):
        compare(a_run({SMALL: {"numpy": 1e-5}}), a_run({LARGE: {"numpy": 1e-5}}, run="tuesday"))
    with pytest.raises(ValueError, match="no cell in common"):
        compare_contestants(Records(), "numpy", "torch")
    with pytest.raises(ValueError, match="did you mean 'torch'"):
        compare_contestants(two_cells(), "numpy", "troch")
