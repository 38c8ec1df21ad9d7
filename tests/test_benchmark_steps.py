"""The table of steps: its statistics, and one whole run of its cheapest cell."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))  # where the script finds its own rooms

from step_contestants import ENTRIES
from step_contestants.cells import CELLS, parse
from step_contestants.check import STEPS, check, reference
from step_contestants.contestant import Contestant, time_blocks
from step_contestants.numpy_code import notebook
from step_contestants.problem import problem
from step_table.figures import Figures, geometric_mean
from step_table.report import report, summary
from step_table.rounds import Progress, Schedule

from chainrule.bench.table import Table, number

TINY = "2-4-1,4"


def record(contestant, median_us, *, turn=1, cell=TINY, run="1", status="ok"):
    """Return what a process would have written."""
    return {
        "run": run,
        "round": turn,
        "cell": cell,
        "contestant": contestant,
        "status": status,
        "reason": "it is not installed",
        "median_us": median_us,
        "commit": "c",
    }


def run(*arguments):
    """Run the script as its user does; return what it printed and what it said meanwhile."""
    path = os.pathsep.join([str(Path(chainrule.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(BENCHMARKS / "steps.py"), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_cheapest_cell_gives_a_table_and_the_samples_behind_it(tmp_path):
    file = tmp_path / "steps.jsonl"
    what = ("--cells", TINY, "--contestants", "plain", "notebook", "--rounds", 1, "--seconds", 0.02)
    code, table, said = run(*what, "--json", file)
    assert code == 0, said
    assert "cell     plain  notebook" in table
    assert "notebook/plain" in table
    assert "round 1/1" in said
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert {r["contestant"] for r in records} == {"plain", "notebook"}
    for r in records:
        assert r["status"] == "ok"
        assert r["check"]["share_of_tolerance"] < 1
        assert r["median_us"] == pytest.approx(np.median(r["samples_us"]))
        assert r["environment"]["versions"]["numpy"] == np.__version__
    again = run("--report", file, "--markdown")[1]
    assert f"| {TINY} |" in again


def test_no_record_says_whose_machine_it_was():
    from step_table.environment import environment

    said = environment()
    assert platform.node() not in {str(value) for value in said.values()}
    assert str(Path(np.__file__).parent) not in json.dumps(said)
    assert "filepath" not in json.dumps(said)


def test_a_cell_that_does_not_exist_is_told_how_cells_are_written():
    code, _, said = run("--cells", "64-256")
    assert code == 2
    assert "64-256-10,32" in said


def test_the_cells_are_the_issues_and_read_back_as_they_are_written():
    assert len([cell for cell in CELLS if not cell.adam]) == 13
    assert [parse(cell.name) for cell in CELLS] == CELLS


def test_a_ratio_is_the_median_of_those_within_a_round():
    # The machine is three times slower in round 2: the ratio of the medians would not know.
    ours, theirs = (10.0, 30.0, 10.0), (20.0, 60.0, 22.0)
    records = [record("plain", t, turn=n) for n, t in enumerate(ours)]
    records += [record("notebook", t, turn=n) for n, t in enumerate(theirs)]
    figures = Figures(records)
    assert figures.time(TINY, "notebook") == 22.0
    assert figures.ratio(TINY, "notebook", "plain") == 2.0
    assert figures.ratio(TINY, "sklearn", "plain") is None


def test_only_rounds_that_both_ran_in_make_a_ratio():
    records = [
        record("plain", 10.0, turn=1),
        record("plain", 1.0, turn=2),
        record("notebook", 30.0, turn=1),
    ]
    assert Figures(records).ratio(TINY, "notebook", "plain") == 3.0


def test_the_best_peer_is_the_one_nearest_to_ours():
    records = [record("plain", 10.0), record("torch-eager", 90.0), record("jax-jit", 15.0)]
    assert Figures(records).best(TINY, ["torch-eager", "jax-jit", "sklearn"], "plain") == (
        "jax-jit",
        1.5,
    )
    assert Figures(records).best(TINY, ["sklearn"], "plain") is None


def test_the_newest_run_of_a_cell_counts():
    old, new = record("plain", 10.0, run="2026-01-01"), record("plain", 5.0, run="2026-01-02")
    other = record("plain", 7.0, cell="64-16-10,32", run="2025-12-31")
    figures = Figures([new, old, other])
    assert figures.time(TINY, "plain") == 5.0
    assert figures.time("64-16-10,32", "plain") == 7.0


def test_a_geometric_mean_of_reciprocal_ratios_is_one():
    assert geometric_mean([4.0, 0.25, 3.0, 1 / 3]) == pytest.approx(1.0)


def test_the_summary_means_over_the_thirteen_cells_and_leaves_adam_out():
    cells = ["2-4-1,4", "64-16-10,32", "64-256-256-10,128,adam"]
    records = [record("plain", 10.0, cell=cell) for cell in cells]
    records += [record("jax-jit", t, cell=c) for c, t in zip(cells, (20.0, 80.0, 1e6), strict=True)]
    rows = {row[0]: row[1] for row in summary(Figures(records)).rows}
    assert rows["plain: best peer, geometric mean of 2 cells"] == "4.00x"
    assert rows["plain: best peer, worst cell (2-4-1,4, jax-jit)"] == "2.00x"


def test_the_share_of_the_floor_is_told_of_wide_cells_only():
    records = [record("jit", 10.0, cell=cell) for cell in ("784-512-10,512", "64-256-10,256")]
    records += [record("floor", 9.0, cell=r["cell"]) for r in list(records)]
    shares = [row for row in summary(Figures(records)).rows if "floor" in row[0]]
    assert [row[:2] for row in shares] == [["jit: share of the floor, 784-512-10,512", "0.900"]]


def test_a_missing_peer_is_said_and_has_no_column():
    records = [record("plain", 10.0), record("torch-eager", None, status="skipped")]
    table = report(Figures(records))[0]
    assert "torch-eager" not in table.head
    assert "skipped: torch-eager: it is not installed" in table.notes


def test_a_table_prints_in_columns_and_as_markdown():
    table = Table("T", ["cell", "us"], [["a", number(1.234)], ["bb", number(None)]], ["a note"])
    assert str(table).splitlines() == ["T", "", "cell    us", "a     1.23", "bb       -", "", "a note"]
    assert "| cell | us |\n| --- | ---: |\n| a | 1.23 |" in table.markdown()


@pytest.mark.parametrize("cell", [TINY, "8-16-16-4,8,adam"])
def test_a_wrong_step_is_caught(cell):
    given = problem(parse(cell))
    wanted = reference(given)
    assert check(notebook(given), given, wanted)["wrong"] == ""
    faster = given._replace(rate=1.05 * given.rate)
    assert "after 5 steps" in check(notebook(faster), given, wanted)["wrong"]


def test_the_reference_is_computed_once_where_it_can_be_kept(tmp_path):
    given = problem(parse(TINY))
    made, kept = reference(given, tmp_path), reference(given, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [f"{TINY}.npz"]
    assert made.loss == kept.loss
    assert all((a == b).all() for a, b in zip(made.parameters, kept.parameters, strict=True))


def test_a_step_is_warm_before_it_is_timed_and_blocks_are_divided_by_their_steps():
    calls = []
    timing = time_blocks(Contestant(lambda: calls.append(1), None, steps=50), seconds=0.0)
    assert len(timing.samples_us) == 3
    assert timing.steps_per_block % 50 == 0
    assert len(calls) > 3 * timing.steps_per_block // 50 + STEPS
    assert max(timing.samples_us) < 1e3


def test_every_round_has_every_contestant_in_another_order(tmp_path):
    names = list(ENTRIES)
    turns = list(Schedule([TINY], names, 5, 0.1, tmp_path).turns())
    orders = [[t.contestant for t in turns if t.round == number] for number in range(1, 6)]
    assert all(sorted(order) == sorted(names) for order in orders)
    assert len(set(map(tuple, orders))) > 1


def test_the_time_left_leaves_out_what_is_not_run_again(tmp_path):
    schedule = Schedule([TINY], ["plain", "floor"], 2, 0.1, tmp_path)
    progress = Progress(schedule)
    for turn in list(schedule.turns())[:2]:
        status = "ok" if turn.contestant == "plain" else "failed"
        progress(turn, record(turn.contestant, 1.0, status=status), 4.0)
    assert progress.left() == 4.0
