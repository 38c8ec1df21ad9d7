"""The recommendation for one network: measured once, stored, and read back the next time."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chainrule.backends.speed_map import stored
from chainrule.backends.speed_map.choice import OutsideMapError, choose
from chainrule.backends.speed_map.spots import SpeedMap
from chainrule.bench.cells import parse
from chainrule.bench.judge.recommendation import BUDGET, installed, recommend, spots
from chainrule.bench.judge.results import Results
from chainrule.bench.measure import campaign
from chainrule.bench.store import Records, read
from chainrule.cli.app import app
from support.runs import a_run, measurement, rates

CELL = parse("784-256-10,128")
NAMES = ["numpy-jit", "torch"]
RUN = Path(__file__).parents[2] / "benchmarks" / "results" / "epyc-2-cores.jsonl.gz"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))


class Bench:
    """Measures as told, and remembers what it was asked for."""

    def __init__(self, torch=2.0, noise=0.01):
        self.asked, self.torch, self.noise = [], torch, noise

    def __call__(self, cell, contestants, seconds):
        self.asked.append((cell, list(contestants), seconds))
        step = 1e-5 + cell.flops / 5e10
        times = {"numpy-jit": step, "torch": step * self.torch}
        taken = {name: times[name] for name in contestants}
        return a_run({cell: taken}, shape=(1, 9), noise=self.noise)


def test_nothing_stored_is_measured_within_twenty_seconds_and_answered_in_a_sentence():
    bench = Bench()
    answer = recommend(CELL, bench, contestants=NAMES)
    assert bench.asked == [(CELL, NAMES, BUDGET)]
    assert BUDGET <= 20
    assert answer.was_measured
    assert answer.choice.backend == "numpy"
    assert answer.choice.sentence.startswith("784-256-10, batch 128: numpy (numpy-jit) takes ")
    assert "times as fast as torch (95 % interval " in answer.choice.sentence
    assert "\n" not in answer.choice.sentence
    rows = answer.choice.estimates
    assert [row.label for row in rows] == ["numpy (numpy-jit)", "torch"]
    assert all(row.how == "measured" and " to " in row.seconds.ends() for row in rows)


@pytest.mark.parametrize(
    ("stored", "cell", "again", "count", "how"),
    [
        (NAMES, CELL, False, 0, "measured"),
        (NAMES, CELL, True, 1, "measured"),
        (NAMES, CELL._replace(batch=200), False, 0, "interpolated"),
        (NAMES, parse("700-256-10,128"), False, 1, "measured"),
        (NAMES[:1], CELL, False, 1, "measured"),
    ],
    ids=["stored", "again", "between measured batches", "off the grid", "a backend installed since"],
)
def test_it_is_measured_again_only_where_the_map_does_not_answer(stored, cell, again, count, how):
    recommend(CELL._replace(batch=512), Bench(), contestants=stored)
    first = recommend(CELL, Bench(), contestants=stored)
    bench = Bench()
    second = recommend(cell, bench, contestants=NAMES, again=again)
    assert len(bench.asked) == count
    assert second.was_measured == bool(count)
    assert second.choice.estimates[0].how == how
    assert count or cell != CELL or second.choice.sentence == first.choice.sentence


def test_a_stale_map_is_measured_anew_and_the_reason_is_noted():
    recommend(CELL, Bench(), contestants=NAMES)
    file = stored.file()
    held = json.loads(file.read_text())
    held["key"]["cores"] = "4096"
    file.write_text(json.dumps(held))
    bench = Bench()
    answer = recommend(CELL, bench, contestants=NAMES)
    assert answer.notes[0].startswith(
        "measured again, since the stored map was measured with cores 4096"
    )
    assert stored.read().spots  # and kept under the key of here


def test_two_that_take_as_long_are_undecided_both_are_named_and_not_measured_over_and_over():
    answer = recommend(CELL, Bench(torch=1.0, noise=0.05), contestants=NAMES)
    assert not answer.choice.is_decided
    assert answer.choice.backend == "numpy"
    assert "numpy (numpy-jit) takes" in answer.choice.sentence
    assert "torch takes" in answer.choice.sentence
    assert "undecided, for the second takes" in answer.choice.sentence
    bench = Bench()
    recommend(CELL, bench, contestants=NAMES)
    assert bench.asked == []


def test_too_few_rounds_leave_it_open_and_are_measured_again():
    def hasty(cell, contestants, seconds):
        times = {name: 1e-3 * (1 + n) for n, name in enumerate(contestants)}
        return a_run({cell: times}, shape=(1, 3))

    answer = recommend(CELL, hasty, contestants=NAMES)
    assert answer.choice.sentence.endswith("undecided, for too few rounds were taken to tell; use numpy")
    assert answer.choice.estimates[0].seconds.ends() == "too few rounds"
    bench = Bench()
    assert recommend(CELL, bench, contestants=NAMES).choice.is_decided
    assert len(bench.asked) == 1


def test_nothing_measured_is_an_error_in_one_line(monkeypatch):
    late = {"status": "skipped", "reason": "the time was over"}
    nothing = Records(measurements=[measurement(CELL, "numpy", 0, [], **late)])
    monkeypatch.setattr(campaign, "measure", lambda *_: nothing)
    result = CliRunner().invoke(app, ["bench", "recommend", "--layers", "784,256,10", "--batch", "128"])
    assert result.exit_code == 2
    assert result.stderr == (
        "error: 784-256-10,128 could not be measured (numpy: the time was over); "
        "measure again when the machine is less busy, or give a smaller batch\n"
    )


@pytest.mark.parametrize(
    ("layers", "problem"),
    [("784-256-10", "wanted whole numbers"), ("784,10", "wanted inputs, hidden layers and outputs")],
)
def test_other_layers_are_refused_in_one_line(layers, problem):
    result = CliRunner().invoke(app, ["bench", "recommend", "--layers", layers, "--batch", "128"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: --layers {layers}: {problem}, as in --layers ")


def test_a_backend_that_was_left_out_is_noted():
    def without_torch(cell, contestants, seconds):
        records = Bench()(cell, ["numpy-jit"], seconds)
        late = {"status": "skipped", "reason": "the time was over"}
        records.measurements.append(measurement(cell, "torch", 0, [], **late))
        return records

    answer = recommend(CELL, without_torch, contestants=NAMES)
    assert answer.choice.backend == "numpy"
    left_out, ranks = answer.notes
    assert left_out == "not known: torch: the time was over"
    assert ranks.startswith("a second machine, over 25 Gbit/s Ethernet, ")


def test_the_map_has_numpy_in_its_faster_form_and_no_invalid_figure():
    run = a_run({CELL: {"numpy": 2e-4, "numpy-jit": 1e-4, "notebook": 5e-4}})
    (spot,) = spots(Results(run))
    assert {name: time.contestant for name, time in spot.times.items()} == {"numpy": "numpy-jit"}
    run = a_run({CELL: {"numpy": 1e-9}})
    run.rates = [rates("numpy")]  # 1e11 FLOP/s at the most
    assert spots(Results(run)) == []
    assert len({name.split("-")[0] for name in installed()}) == len(installed())


def test_cells_left_out_of_the_committed_run_are_right_or_undecided():
    every = spots(Results(read(RUN)))
    verdicts = []
    for spot in every:
        rest = SpeedMap([other for other in every if other is not spot])
        truth = choose(SpeedMap([spot]), spot.workload)
        try:
            choice = choose(rest, spot.workload)
        except OutsideMapError:
            continue  # on the edge of the grid
        verdicts.append("undecided" if not choice.is_decided else choice.backend == truth.backend)
    assert False not in verdicts
    assert verdicts.count(True) > 0.8 * len(verdicts) > 12
