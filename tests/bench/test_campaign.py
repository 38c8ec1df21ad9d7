"""The campaign: what is kept when it ends early, how it goes on, and what it makes of contestants' ways."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import chainrule.bench.measure.crew as crew_room
from chainrule.bench import roster
from chainrule.bench.cells import parse
from chainrule.bench.judge.figures import Place
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.statistics import verdict
from chainrule.bench.measure import campaign
from chainrule.bench.measure.campaign import Campaign, Listener
from chainrule.bench.measure.crew import Care, Crew, Seat
from chainrule.bench.measure.process import CAN_STOP, Process
from chainrule.bench.store import FILE, Records, read
from chainrule.cli.app import app
from support.contestants import HERE
from support.runs import rates

TINY, SMALL = parse("2-4-1,4"), parse("4-8-2,4")
RATES = rates("numpy")
BRIEF = Care(rounds=4, least_rounds=2, warm=0.0, block=0.0005, budget=1e6)  # none for want of time
TESTS = Path(__file__).parents[1]
FAKE = f"{HERE}unsynchronised"
STEADY, TOO, SLOWER = (HERE + name for name in ("steady", "steady_too", "slower"))


@pytest.fixture(autouse=True)
def _found(_own_contestants):
    pass


def plan(*contestants, cells=(TINY,), processes=1, care=BRIEF):
    return Campaign(list(cells), list(contestants), processes=processes, care=care)


def asking(monkeypatch, verb, number, raised=KeyboardInterrupt):
    """Have the so manieth request of this verb end in an interruption."""
    true_ask, seen = Process.ask, []

    def ask(self, do, **request):
        if do == verb:
            seen.append(do)
            if len(seen) == number:
                raise raised
        return true_ask(self, do, **request)

    monkeypatch.setattr(Process, "ask", ask)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run with the bare products, and with a device that nobody waits for; and its folder."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
        campaign.run(
            plan("products-numpy", "notebook", FAKE, cells=[parse("64-64-10,64")]), folder, Listener()
        )
    return folder


def test_a_run_keeps_every_sample_and_what_it_was_taken_on(whole):
    records = read(whole)
    assert [one.contestant for one in records.measurements] == ["products-numpy", "notebook", FAKE]
    for one in records.measurements:
        assert one.status == "ok"
        assert one.rounds == (0, 1, 2, 3)
        assert len(one.seconds) == len(one.enqueued) == 4
        assert one.environment in records.environments
    assert records.rates[0].products > 1e8


def test_a_device_that_nobody_waits_for_comes_out_invalid(whole):
    results = Results(read(whole))
    by_name = {place.contestant: results.figures(place) for place in results.places}
    assert by_name[FAKE].status == "ok"  # its numbers are right: only its clock is not
    assert "invalid" in by_name[FAKE].flags
    assert not by_name[FAKE].is_valid
    assert by_name["notebook"].is_valid
    assert results.best(parse("64-64-10,64"), ["notebook", FAKE]).place.contestant == "notebook"


def test_the_machine_is_measured_once_in_a_run(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Crew, "rates", lambda _, *what: iter(asked.append(what) or [RATES.line()]))
    campaign.run(plan("notebook", processes=2), tmp_path, Listener())
    again = campaign.run(plan("notebook", processes=2), tmp_path, Listener())
    libraries = [one.library for one in roster.ROSTER.values() if one.group == roster.PRODUCTS]
    assert asked[0] == ("numpy", 0)
    assert len(asked) == len(set(asked)) <= len(libraries)
    assert again.rates == [RATES] * len(asked)


def test_the_contestants_take_their_turns_in_an_order_that_changes(tmp_path, monkeypatch):
    asked = []
    true_ask = Process.ask

    def ask(self, do, **request):
        if do == "time":
            asked.append(id(self))
        return true_ask(self, do, **request)

    monkeypatch.setattr(Process, "ask", ask)
    campaign.run(plan("notebook", STEADY, TOO, care=replace(BRIEF, rounds=6)), tmp_path, Listener())
    rounds = [tuple(asked[start : start + 3]) for start in range(0, len(asked), 3)]
    assert all(len(set(one)) == 3 for one in rounds)
    assert len(set(rounds)) > 1


def test_ctrl_c_keeps_the_rounds_so_far_and_the_next_run_goes_on_after_them(tmp_path, monkeypatch):
    two = plan("notebook", STEADY, cells=[TINY, SMALL])
    with monkeypatch.context() as patch:
        asking(patch, "time", 2 * 4 + 6)  # after two rounds of the second cell, and a half
        with pytest.raises(KeyboardInterrupt):
            campaign.run(two, tmp_path, Listener())
    kept = read(tmp_path).measurements
    assert sorted(len(one.rounds) for one in kept) == [2, 3, 4, 4]
    assert {one.status for one in kept} == {"ok"}
    began, listener = [], Listener()
    listener.begin = lambda *counts: began.append(counts)
    assert campaign.run(two, tmp_path, listener).measurements == kept
    assert began == [(2, 2)]


@pytest.mark.parametrize(
    ("verb", "reasons"),
    [
        ("time", {"stopped after 1 rounds", "stopped after 0 rounds"}),
        ("make", {"stopped after 0 rounds", "stopped before its turn"}),
    ],
)
def test_a_cell_hardly_begun_says_why_and_is_measured_again(tmp_path, monkeypatch, verb, reasons):
    two = plan("notebook", STEADY)
    with monkeypatch.context() as patch:
        asking(patch, verb, 2)
        with pytest.raises(KeyboardInterrupt):
            campaign.run(two, tmp_path, Listener())
    kept = read(tmp_path).measurements
    assert {one.status for one in kept} == {"interrupted"}
    assert {one.reason for one in kept} == reasons
    results = Results(campaign.run(two, tmp_path, Listener()))
    assert [results.figures(place).status for place in results.places] == ["ok", "ok"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_a_real_ctrl_c_in_the_middle_of_a_block_keeps_what_there_is(tmp_path):
    code = (
        "import sys; from pathlib import Path; from chainrule.bench.measure import campaign;"
        "from chainrule.bench.cells import parse; from chainrule.bench.measure.crew import Care;"
        "from chainrule.bench.measure.process import Process; ask = Process.ask;"
        "Process.ask = lambda self, do, **more: print(do, flush=True) or ask(self, do, **more);"
        "care = Care(rounds=10**6, warm=0.0, block=0.05, budget=1e6);"
        "plan = campaign.Campaign([parse('2-4-1,4')], ['notebook'], processes=1, care=care);"
        "campaign.run(plan, Path(sys.argv[1]), campaign.Listener())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        asked = []
        while asked.count("time") < 6:
            asked.append(running.stdout.readline().strip())
            assert asked[-1], "it ended by itself"
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=600)
    finally:
        running.kill()
    assert "KeyboardInterrupt" in said
    (one,) = read(tmp_path).measurements
    assert one.status == "ok"
    assert len(one.rounds) == len(one.seconds) >= 5
    assert one.environment in read(tmp_path).environments


def test_a_line_that_was_never_finished_is_dropped_and_another_plan_refused(tmp_path):
    records = campaign.run(plan("notebook"), tmp_path, Listener())
    with (tmp_path / FILE).open("a") as file:
        file.write('{"record": "measurement", "cell": "2-4')
    assert read(tmp_path) == records
    assert campaign.run(plan("notebook"), tmp_path, Listener()) == records
    lines = (tmp_path / FILE).read_text().splitlines()
    assert all(json.loads(line) for line in lines[:-1])
    with pytest.raises(
        ValueError, match=r"run with other cells, contestants; give another folder with -o"
    ):
        campaign.run(plan(STEADY, cells=[SMALL]), tmp_path, Listener())


def test_what_cannot_be_measured_says_why_and_keeps_nobody_else_from_it(tmp_path):
    unruly = [HERE + name for name in ("wrong", "crashes", "crashes_later", "raises")]
    records = campaign.run(plan("notebook", *unruly), tmp_path, Listener())
    said = {one.contestant: (one.status, one.reason) for one in records.measurements}
    assert said["notebook"][0] == "ok"
    assert said[f"{HERE}wrong"][0] == "wrong"
    assert "after 50 steps" in said[f"{HERE}wrong"][1]
    assert said[f"{HERE}crashes"] == ("failed", "its process ended")
    assert said[f"{HERE}crashes_later"] == ("failed", "its process ended")
    assert said[f"{HERE}raises"] == ("failed", "OSError: no such thing")


@pytest.mark.skipif(not CAN_STOP, reason="no answer is awaited for a limited time here")
def test_when_the_time_is_over_nobody_is_waited_for(tmp_path, monkeypatch):
    until, late = time.monotonic() + 1e6, [0.0]
    true_make = Crew._make

    def make(self, seat, *what):
        made = true_make(self, seat, *what)
        late[0] = late[0] or until - 0.5 - time.monotonic()  # half a second is left after the first
        return made

    monkeypatch.setattr(Crew, "_make", make)
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + late[0])
    monkeypatch.setattr(crew_room, "time", clock)
    three = plan("notebook", f"{HERE}hangs", STEADY, care=replace(BRIEF, until=until))
    records = campaign.run(three, tmp_path, Listener())
    said = {one.contestant: (one.status, one.reason) for one in records.measurements}
    assert said["notebook"] == ("ok", "")
    assert said[f"{HERE}hangs"] == said[STEADY] == ("skipped", "the time was over")


CAREFUL = Care(rounds=15, warm=0.05, block=0.01, budget=1e6)


@pytest.fixture(scope="module")
def beside():
    """How the steady contestant and its likes compare, by the instrument as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS), prepend=os.pathsep)
        records = Records()
        for number in range(3):
            crew = Crew("one", number, "float32", CAREFUL, "")
            try:
                seats = [Seat(STEADY, 1), Seat(TOO, 1), Seat(SLOWER, 1)]
                for line in crew.measure(parse("16-32-4,32"), "step", seats):
                    records.add(line)
            finally:
                crew.end()
    results = Results(records)
    places = [Place(parse("16-32-4,32"), name, "step", 1) for name in (STEADY, TOO, SLOWER)]
    return {place.contestant: results.ratio(place, places[0]) for place in places[1:]}


def test_an_injected_slowdown_of_a_fifth_reads_slower(beside):
    assert verdict(beside[SLOWER]) == "slower"
    assert beside[SLOWER].estimate == pytest.approx(1.2, rel=0.02)


def test_a_contestant_beside_itself_reads_the_same(beside):
    assert verdict(beside[TOO]) == "same"
    assert beside[TOO].estimate == pytest.approx(1.0, rel=0.02)


def test_a_run_in_which_nobody_could_start_is_an_error(tmp_path):
    words = ["bench", "run", "--quick", "--cell", "64-16-10,1", "--backend", "no.such:thing"]
    result = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "nothing was measured: ModuleNotFoundError: No module named 'no'" in result.stderr
