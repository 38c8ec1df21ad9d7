"""The campaign: what is kept when it ends early, how it goes on, and contestants that misbehave."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import chainrule.bench.measure.campaign as crew_room
from chainrule.bench import roster
from chainrule.bench.cells import parse
from chainrule.bench.judge.results import Place, Results
from chainrule.bench.judge.statistics import verdict
from chainrule.bench.measure import campaign
from chainrule.bench.measure.campaign import Campaign, Care, Crew, Seat, crew
from chainrule.bench.measure.process import CAN_STOP, Process
from chainrule.bench.store import FILE, Records, read
from chainrule.cli.app import app
from support.contestants import HERE
from support.runs import rates

TINY, SMALL, MIDDLE = parse("2-4-1,4"), parse("4-8-2,4"), parse("64-64-10,64")
BRIEF = Care(rounds=4, least_rounds=2, warm=0.0, block=0.0005, budget=1e6)  # none for want of time
TESTS = Path(__file__).parents[1]
FAKE, HANGS, STEADY, TOO, SLOWER = (
    HERE + name for name in ("unsynchronised", "hangs", "steady", "steady_too", "slower")
)
UNRULY = [HERE + name for name in ("wrong", "crashes", "crashes_later", "raises")]


def plan(*contestants, cells=(TINY,), processes=1, care=BRIEF):
    return Campaign(list(cells), list(contestants), processes=processes, care=care)


WHOLE = plan("products-numpy", "notebook", FAKE, *UNRULY, cells=[MIDDLE], care=replace(BRIEF, rounds=8))


@pytest.fixture(autouse=True)
def _quick(_own_contestants, monkeypatch):
    """The machine's own rates are measured in the module's run alone."""
    monkeypatch.setattr(Crew, "rates", lambda *_: iter(()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with the bare products, a device that nobody waits for, and contestants that misbehave.

    Its folder, and the processes in the order in which they were asked for a block.
    """
    folder, asked, true_ask = tmp_path_factory.mktemp("run"), [], Process.ask

    def ask(self, do, **request):
        asked.extend([id(self)] * (do == "time"))
        return true_ask(self, do, **request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
        patch.setattr(Process, "ask", ask)
        campaign.run(WHOLE, folder)
    return folder, asked


def asking(monkeypatch, verb, number):
    """Have the so manieth request of this verb end in an interruption."""
    true_ask, seen = Process.ask, []

    def ask(self, do, **request):
        seen.extend([do] * (do == verb))
        if do == verb and len(seen) == number:
            raise KeyboardInterrupt
        return true_ask(self, do, **request)

    monkeypatch.setattr(Process, "ask", ask)


def test_a_run_keeps_every_sample_and_its_environment(whole):
    records = read(whole[0])
    timed = [one for one in records.measurements if one.status == "ok"]
    assert [one.contestant for one in timed] == ["products-numpy", "notebook", FAKE]
    for one in timed:
        assert one.rounds == tuple(range(8))
        assert len(one.seconds) == 8
        assert one.environment in records.environments
    assert records.rates[0].products > 1e8


def test_the_contestants_take_turns_in_an_order_that_changes(whole):
    asked = [one for one in whole[1] if whole[1].count(one) == 8]  # not the one that crashes
    rounds = [tuple(asked[start : start + 3]) for start in range(0, len(asked), 3)]
    assert all(len(set(one)) == 3 for one in rounds)
    assert len(set(rounds)) > 1


def test_a_device_that_nobody_waits_for_comes_out_invalid(whole):
    results = Results(read(whole[0]))
    by_name = {place.contestant: results.figures(place) for place in results.places}
    assert by_name[FAKE].status == "ok"  # its numbers are right: only its clock is not
    assert "invalid" in by_name[FAKE].flags
    assert results.slices[0].best(MIDDLE, ["notebook", FAKE]).place.contestant == "notebook"


def test_a_contestant_that_cannot_be_measured_says_why_and_disturbs_nobody(whole):
    reasons = {one.contestant: (one.status, one.reason) for one in read(whole[0]).measurements}
    status, reason = reasons.pop(UNRULY[0])
    assert (status, "after" in reason) == ("wrong", True)
    assert [reasons.pop(name) for name in UNRULY[1:]] == [
        ("failed", "its process ended"),
        ("failed", "its process ended"),
        ("failed", "OSError: no such thing"),
    ]
    assert set(reasons.values()) == {("ok", "")}


def test_an_unfinished_line_is_dropped_and_another_plan_refused(whole, tmp_path):
    shutil.copy(whole[0] / FILE, tmp_path)
    records = read(tmp_path)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"record": "measurement", "cell": "2-4')
    assert read(tmp_path) == records
    assert campaign.run(WHOLE, tmp_path) == records
    assert all(json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()[:-1])
    message = r"run with other cells, contestants; give another folder with -o"
    with pytest.raises(ValueError, match=message):
        campaign.run(plan(STEADY, cells=[SMALL]), tmp_path)


def test_the_machine_is_measured_once_in_a_run(tmp_path, monkeypatch):
    asked = []

    def measured(_, *what):
        asked.append(what)
        yield rates(what[0]).line()

    monkeypatch.setattr(Crew, "rates", measured)
    campaign.run(plan("notebook", processes=2), tmp_path)
    again = campaign.run(plan("notebook", processes=2), tmp_path)
    libraries = {roster.entry(name).library for name in roster.of(roster.BACKEND)}
    assert asked[0] == ("numpy", 0)
    assert len(asked) == len(set(asked)) <= len(libraries)
    assert again.rates == [rates(*what[:1]) for what in asked]


def test_ctrl_c_keeps_the_rounds_so_far_and_the_next_run_goes_on_after_them(tmp_path, monkeypatch):
    two = plan("notebook", STEADY, cells=[TINY, SMALL])
    with monkeypatch.context() as patch:
        asking(patch, "time", 2 * 4 + 6)  # after two rounds of the second cell, and a half
        with pytest.raises(KeyboardInterrupt):
            campaign.run(two, tmp_path)
    kept = read(tmp_path).measurements
    assert sorted(len(one.rounds) for one in kept) == [2, 3, 4, 4]
    assert {one.status for one in kept} == {"ok"}
    told = []
    assert campaign.run(two, tmp_path, lambda *progress: told.append(progress)).measurements == kept
    assert told == [(2, 2, [])]


def test_a_cell_hardly_begun_says_why_and_is_measured_again(tmp_path, monkeypatch):
    two = plan("notebook", STEADY)
    for verb, reasons in (
        ("make", {"stopped after 0 rounds", "stopped before its turn"}),
        ("time", {"stopped after 1 rounds", "stopped after 0 rounds"}),
    ):
        with monkeypatch.context() as patch:
            asking(patch, verb, 2)
            with pytest.raises(KeyboardInterrupt):
                campaign.run(two, tmp_path)
        kept = read(tmp_path).measurements[-2:]
        assert {one.status for one in kept} == {"interrupted"}
        assert {one.reason for one in kept} == reasons
    records = campaign.run(two, tmp_path)
    results = Results(records)
    assert [results.figures(place).status for place in results.places] == ["ok", "ok"]
    assert campaign.run(two, tmp_path) == records  # and not measured once more


def test_contestants_of_a_gpu_are_made_at_once_and_warmed_up_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(roster.Entry, "device", "cuda")
    asked, ask = [], Process.ask
    monkeypatch.setattr(
        Process, "ask", lambda self, do, **more: asked.append(do) or ask(self, do, **more)
    )
    two = plan("notebook", STEADY)
    with monkeypatch.context() as patch:
        asking(patch, "make", 2)
        with pytest.raises(KeyboardInterrupt):
            campaign.run(two, tmp_path)
    asked.clear()
    records = campaign.run(two, tmp_path)
    assert [one.status for one in records.measurements[-2:]] == ["ok", "ok"]
    assert asked[:5] == ["make", "make", "warm", "warm", "time"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_real_ctrl_c_in_the_middle_of_a_block_keeps_the_rounds_before(tmp_path):
    code = (
        "import sys; from pathlib import Path; from chainrule.bench.measure import campaign;"
        "from chainrule.bench.cells import parse; from chainrule.bench.measure.campaign import Care, Crew;"
        "from chainrule.bench.measure.process import Process; ask = Process.ask;"
        "Process.ask = lambda self, do, **more: print(do, flush=True) or ask(self, do, **more);"
        "Crew.rates = lambda *_: iter(());"
        "care = Care(rounds=10**6, warm=0.0, block=0.05, budget=1e6);"
        "plan = campaign.Campaign([parse('2-4-1,4')], ['notebook'], processes=1, care=care);"
        "campaign.run(plan, Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        asked = []
        while asked.count("time") < 6:
            asked.append(running.stdout.readline().strip())
            assert asked[-1], "it ended by itself"
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=600)
    finally:
        running.kill()
    assert "KeyboardInterrupt" in errors
    (one,) = read(tmp_path).measurements
    assert one.status == "ok"
    assert len(one.rounds) == len(one.seconds) >= 5
    assert one.environment in read(tmp_path).environments


@pytest.mark.skipif(not CAN_STOP, reason="no answer is awaited for a limited time here")
def test_when_the_time_is_over_nobody_is_waited_for(tmp_path, monkeypatch):
    until, late = time.monotonic() + 1e6, [0.0]
    true_make = Crew._make

    def make(self, seat, *what):
        made = true_make(self, seat, *what)
        late[0] = late[0] or until - 0.5 - time.monotonic()  # half a second is left after the first
        return made

    monkeypatch.setattr(Crew, "_make", make)
    clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: time.monotonic() + late[0]})
    monkeypatch.setattr(crew_room, "time", clock)
    three = plan("notebook", HANGS, STEADY, care=replace(BRIEF, until=until))
    records = campaign.run(three, tmp_path)
    reasons = {one.contestant: (one.status, one.reason) for one in records.measurements}
    assert reasons["notebook"] == ("ok", "")
    assert reasons[HANGS] == reasons[STEADY] == ("skipped", "the time was over")


def test_a_against_a_reads_the_same_and_an_injected_slowdown_of_a_fifth_slower():
    records, cell = Records(), TINY
    for number in range(2):
        with crew("one", number, "float32", replace(BRIEF, rounds=15, block=0.002)) as one:
            for line in one.measure(cell, "step", [Seat(name, 1) for name in (STEADY, TOO, SLOWER)]):
                records.add(line)
    steady, too, slower = (Place(cell, name, "step", 1) for name in (STEADY, TOO, SLOWER))
    for place, word, ratio in ((too, "same", 1.0), (slower, "slower", 1.2)):
        compared = Results(records).ratio(place, steady)
        assert verdict(compared) == word
        assert compared.estimate == pytest.approx(ratio, rel=0.02)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("numpy,no.such:thing", "'no.such:thing' needs what is missing here: no; install it, or choose"),
        (",", "--backend names no contestant; choose"),
        (
            "math:nothing",
            "nothing was measured: AttributeError: module 'math' has no attribute 'nothing'",
        ),
    ],
)
def test_a_contestant_that_cannot_start_is_an_error_in_one_line(tmp_path, names, problem):
    words = ["bench", "run", "--quick", "--cell", "64-16-10,1", "--backend", names]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"error: {problem}")


def test_a_run_into_a_file_asks_for_a_folder(tmp_path):
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(NotADirectoryError, match="is a file; give a folder with -o"):
        campaign.run(plan("numpy"), file)
