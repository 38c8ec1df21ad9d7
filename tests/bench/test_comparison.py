"""Comparison of two runs: verdicts, what is refused, and what is said of runs that were not paired."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule.bench.cells import parse
from chainrule.bench.judge.comparison import NOT_PAIRED, compare, compare_contestants
from chainrule.bench.judge.machines import DifferentMachinesError
from chainrule.bench.store import Records
from chainrule.cli.app import app
from support.runs import a_run

command = sys.modules["chainrule.cli.bench.compare"]
SMALL, LARGE = parse("64-16-10,32"), parse("64-1024-10,256")


def two_cells(slower=1.0, **facts):
    small, large = {"numpy": 1e-5 * slower, "torch": 9e-5}, {"numpy": 7e-4, "torch": 9e-4}
    return a_run({SMALL: small, LARGE: large}, **facts)


def verdicts(comparison):
    return {(row.place.contestant, row.place.cell): row.verdict for row in comparison.rows}


def test_a_run_and_its_repetition_are_the_same_and_the_comparison_says_that_they_are_not_paired():
    found = compare(two_cells(), two_cells(run="tuesday"))
    assert set(verdicts(found).values()) == {"same"}
    assert all(mean.ratio.low < 1.0 < mean.ratio.high for mean in found.means)
    assert not any(row.is_paired for row in found.rows)
    assert found.notes[0] == NOT_PAIRED


def test_what_became_slower_is_told_apart_from_what_did_not():
    found = compare(two_cells(), two_cells(1.2, run="tuesday"))
    assert verdicts(found) == {
        ("numpy", SMALL): "slower",
        ("numpy", LARGE): "same",
        ("torch", SMALL): "same",
        ("torch", LARGE): "same",
    }
    assert [row.place.cell for row in found.slower] == [SMALL]
    numpy, torch = found.means
    assert numpy.ratio.estimate == pytest.approx(1.2**0.5, rel=0.01)
    assert (numpy.cells, torch.cells) == (2, 2)
    turned = compare(two_cells(1.2), two_cells(run="tuesday"))
    assert verdicts(turned)["numpy", SMALL] == "faster"


def test_the_command_prints_each_ratio_with_its_interval_and_verdict(monkeypatch):
    monkeypatch.setattr(
        command, "read", lambda path: two_cells(1.2 if path.name == "b" else 1, run=path.name)
    )
    result = CliRunner().invoke(app, ["bench", "compare", "a", "b", "--json", "--fail"])
    assert result.exit_code == command.SLOWER
    record = json.loads(result.stdout)
    first = dict(zip(command.HEAD, record["rows"][0], strict=True))
    assert (first["cell"], first["contestant"], first["verdict"]) == (SMALL.name, "numpy", "slower")
    assert 1.19 < float(first["times"]) < 1.21
    low, high = map(float, first["95 % interval"].split(" to "))
    assert low <= float(first["times"]) <= high
    mean = dict(zip(command.MEANS_HEAD, record["means"][0], strict=True))
    assert (mean["contestant"], mean["cells"]) == ("numpy", "2")


def halves(records):
    """The same measurements as if one run had had two sides: numpy's in each, under one name."""
    sides = [replace(records, measurements=[]) for _ in range(2)]
    for one in records.measurements:
        side = sides[one.contestant == "torch"]
        side.measurements.append(replace(one, contestant="numpy"))
    return sides


def test_two_sides_of_one_run_are_compared_in_pairs_and_a_drift_cancels():
    ramp = np.linspace(0.0, np.log(1.5), 45).reshape(3, 15)
    before, after = halves(a_run({SMALL: {"numpy": 1e-5, "torch": 1e-5}}, drift=ramp))
    (row,) = compare(before, after).rows
    assert row.is_paired
    assert row.verdict == "same"
    assert NOT_PAIRED not in compare(before, after).notes


def test_two_contestants_of_one_run_are_compared_in_pairs():
    found = compare_contestants(two_cells(), "torch", "numpy")
    assert [row.ratio.estimate for row in found.rows] == pytest.approx([1 / 9, 7 / 9], rel=0.02)
    assert all(row.is_paired and row.verdict == "faster" for row in found.rows)


@pytest.mark.parametrize(
    ("fact", "other"),
    [
        ("cpu", "Another Processor"),
        ("cores", 4),
        ("gpu", {"name": "A Device", "clocks.sm": "1000 MHz"}),
        ("precision", {"torch": "high"}),
        ("variables", {"OMP_NUM_THREADS": "1"}),
        ("blas", [{"internal_api": "mkl", "version": "2025.1", "num_threads": 2}]),
        ("blas", [{"internal_api": "openblas", "version": "0.3.30", "num_threads": 1}]),
    ],
)
def test_runs_of_different_machines_are_refused_and_the_fact_is_named(fact, other):
    there = two_cells(run="tuesday", **{fact: other})
    with pytest.raises(DifferentMachinesError, match=f"{fact}.*--force"):
        compare(two_cells(), there)
    forced = compare(two_cells(), there, force=True)
    assert any(note.startswith(f"different machines: {fact}") for note in forced.notes)
    assert len(forced.rows) == 4


def test_what_a_variable_says_of_a_gpu_means_nothing_where_there_is_none():
    tuesday = two_cells(run="tuesday", variables={"NVIDIA_TF32_OVERRIDE": "0"})
    assert len(compare(two_cells(), tuesday).rows) == 4
    device = {"gpu": {"name": "A Device"}}
    tuesday = two_cells(run="tuesday", variables={"NVIDIA_TF32_OVERRIDE": "0"}, **device)
    with pytest.raises(DifferentMachinesError, match="variables NVIDIA_TF32_OVERRIDE"):
        compare(two_cells(**device), tuesday)


def test_a_device_at_another_clock_is_the_same_device():
    devices = [{"name": "A Device", "clocks.sm": clock} for clock in ("900 MHz", "1000 MHz")]
    runs = [two_cells(run=day, gpu=gpu) for day, gpu in zip(("monday", "tuesday"), devices, strict=True)]
    assert len(compare(*runs).rows) == 4


def test_another_version_is_what_one_compares_and_is_noted():
    newer = two_cells(run="tuesday", versions={"numpy": "2.5.0", "chainrule": "0.1.0"})
    assert "changed: versions numpy: 2.4.6, then 2.5.0" in compare(two_cells(), newer).notes


def test_what_only_one_run_has_is_noted_and_a_failed_contestant_has_no_row():
    found = compare(two_cells(), a_run({SMALL: {"numpy": 1e-5}}, run="tuesday"))
    assert len(found.rows) == 1
    assert found.notes[-1].startswith("in one run only: numpy in 64-1024-10,256, torch in")
    after = two_cells(run="tuesday")
    after.measurements = [
        replace(one, status="failed", seconds=(), rounds=(), enqueued=())
        if (one.contestant, one.cell) == ("torch", SMALL)
        else one
        for one in after.measurements
    ]
    found = compare(two_cells(), after)
    assert ("torch", SMALL) not in verdicts(found)
    assert "in one run only: torch in 64-16-10,32" in found.notes


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="hold the same measurements; give another run"):
        compare(two_cells(), two_cells())
    with pytest.raises(ValueError, match="no contestant in a common cell"):
        compare(a_run({SMALL: {"numpy": 1e-5}}), a_run({LARGE: {"numpy": 1e-5}}, run="tuesday"))
    with pytest.raises(ValueError, match="no cell in common"):
        compare_contestants(Records(), "numpy", "torch")
    with pytest.raises(ValueError, match="did you mean 'torch'"):
        compare_contestants(two_cells(), "numpy", "troch")
