"""The gate: what passes, what fails, and with which line."""

import doctest
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.gate import __main__ as command
from benchmarks.gate import counting, gates, ratios, verdict
from benchmarks.gate.allocations import Allocations, allocations
from benchmarks.gate.counts import counts
from benchmarks.gate.gates import Gates
from benchmarks.gate.ratios import Pair
from benchmarks.gate.verdict import gate, updated

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench.cells import parse
from chainrule.bench.contestant import Contestant
from chainrule.bench.measure.campaign import Care
from chainrule.bench.measure.limits import FINE, PROCESSOR, WALL, block
from support.contestants import HERE

CELL = "2-4-1,4"
PAIR = Pair(CELL, "numpy")
TABLE = Path(__file__).parents[2] / "benchmarks" / "gates.toml"
ALLOWED = Gates(
    {CELL: counts(parse(CELL))._asdict()},
    {CELL: {"numpy": {"kept": 0, "most_rise": 40960}}},
    {CELL: {"numpy": 4.0}},
    band=0.5,
)
FITS, SLOW, UNSURE = Interval(4.1, 3.9, 4.3), Interval(8.2, 7.9, 8.6), Interval(8.2, 5.0, 12.0)

FEW = Allocations(1000, 0, 36_984)


@pytest.fixture
def look(monkeypatch):
    """Sets what the gate measures; returns the pairs that it asked for, a list a time."""

    def measures(*results, memory=FEW, **counted):
        left, asked = list(results) or [FITS], []

        def measured(pairs, sets=None):
            asked.append(list(pairs))
            return dict.fromkeys(pairs, left.pop(0) if len(left) > 1 else left[0])

        monkeypatch.setattr(verdict, "counts", lambda cell: counts(cell)._replace(**counted))
        monkeypatch.setattr(verdict, "allocations", lambda _name, _cell: memory)
        monkeypatch.setattr(verdict, "measured", measured)
        return asked

    return measures


def test_its_examples_run():
    assert doctest.testmod(gates) == (0, 1)
    assert doctest.testmod(counting).failed == 0


MEANT = "find what is new, or if it is intended: nox -s gate -- --update"


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        ({"elementwise": 23}, f"elementwise: got 23, wanted 22; {MEANT}"),
        ({"host_reads": 1}, f"host reads: got 1, wanted 0; {MEANT}"),
        ({"launches": 28}, "launches: got 28, wanted 29; fewer is better: nox -s gate -- --update"),
        (
            {"memory": Allocations(0, 1, 100)},
            f"numpy: arrays kept by ten passes: got 1, wanted 0; {MEANT}",
        ),
        (
            {"memory": Allocations(0, 0, 50_000)},
            (
                "numpy: bytes that a pass allocates: got 50,000, wanted at most 40,960; find the array that is "
                "allocated, or if it is intended: nox -s gate -- --update"
            ),
        ),
    ],
    ids=["more", "read", "fewer", "kept", "allocated"],
)
def test_another_count_or_an_array_that_is_allocated_fails(look, measured, line):
    look(**measured)
    assert gate(ALLOWED) == [f"{CELL}: {line}"]


def test_counts_that_disagree_fail(monkeypatch, look):
    look()

    def disagreeing(_):
        msg = "the step does 6 products, its plan 5"
        raise RuntimeError(msg)

    monkeypatch.setattr(verdict, "counts", disagreeing)
    assert gate(ALLOWED) == [f"{CELL}: nothing measured: the step does 6 products, its plan 5"]


@pytest.mark.parametrize(
    ("results", "times"),
    [([FITS], 1), ([UNSURE], 1), ([SLOW, FITS], 2), ([SLOW, UNSURE], 2)],
    ids=["fits", "unsure", "slow once", "slow, then unsure"],
)
def test_a_step_passes_unless_it_is_slow_twice(look, results, times):
    asked = look(*results)
    assert gate(ALLOWED) == []
    assert asked == [[PAIR]] * times


def test_only_what_was_slow_is_measured_again(look):
    asked = look(SLOW, SLOW)
    (line,) = gate(replace(ALLOWED, ratios={CELL: {"numpy": 4.0, "numpy-jit": 9.0}}))
    assert line == (
        f"{CELL}: numpy: step / products: got 8.2 (7.9 to 8.6), wanted 4, at most 50% more; find what takes "
        "longer (chainrule bench compare), or if it is intended: nox -s gate -- --update"
    )
    assert asked == [[PAIR, Pair(CELL, "numpy-jit")], [PAIR]]


def test_what_cannot_be_timed_fails_and_no_table_is_written(look):
    look("llvmlite is not installed")
    assert gate(ALLOWED) == [
        f"{CELL}: numpy: step / products: got nothing measured, wanted 4; llvmlite is not installed"
    ]
    with pytest.raises(RuntimeError, match=r"not written: numpy in 2-4-1,4: llvmlite is not installed"):
        updated(ALLOWED)


def test_the_command_updates_the_table_and_checks_it(look, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    gates.FILE.write_text(str(ALLOWED))
    look(SLOW, memory=Allocations(0, 0, 3_000), launches=31)
    monkeypatch.setattr(sys, "argv", ["gate"])
    with pytest.raises(SystemExit, match=r"launches: got 31, wanted 29(.|\n)*got 8.2"):
        command.main()
    monkeypatch.setattr(sys, "argv", ["gate", "--update"])
    command.main()
    table = gates.read()
    assert table.counts[CELL]["launches"] == 31
    assert table.memory[CELL]["numpy"] == {"kept": 0, "most_rise": 8192}
    assert table.ratios[CELL]["numpy"] == 8.2
    assert table.band == ALLOWED.band
    monkeypatch.setattr(sys, "argv", ["gate"])
    command.main()
    assert "the gate is open" in capsys.readouterr().out


def test_another_file_is_refused_and_the_committed_table_holds_the_counts_of_the_step(tmp_path):
    file = tmp_path / "gates.toml"
    with pytest.raises(FileNotFoundError, match=r"run the gate at the top of a checkout"):
        gates.read(file)
    file.write_text("[ratios.'64-10']\nnumpy = 1\n")
    with pytest.raises(ValueError, match=r"is not a table of the gate \(no cell '64-10'; write it as"):
        gates.read(file)
    allowed = gates.read(TABLE)
    assert {name: counts(parse(name))._asdict() for name in allowed.counts} == allowed.counts
    assert str(allowed) == TABLE.read_text(encoding="utf-8")


def test_a_step_holds_what_its_plan_says_and_allocates_no_layer():
    cell = parse("64-256-10,64")
    layer = 64 * 256 * 4  # bytes of an activation
    ours, written_out = allocations("numpy", cell), allocations("notebook", cell)
    peak = counts(cell).peak_bytes
    assert peak <= ours.held <= peak + 4096
    assert ours.kept == 0
    assert ours.rise < layer < written_out.rise
    with pytest.raises(RuntimeError, match=r"no.such:thing in 64-256-10,64: ModuleNotFoundError"):
        allocations("no.such:thing", cell)


@pytest.mark.skipif(
    time.get_clock_info("process_time").resolution > FINE, reason="it is too coarse here"
)
def test_what_a_step_waits_for_on_a_busy_machine_is_not_its_own():
    assert ratios.CARE.clock == PROCESSOR
    waits = Contestant(run=lambda: time.sleep(0.02), steps=1)
    assert block(waits, 10, PROCESSOR) < 0.1  # a thread of BLAS may still be on its way to sleep
    assert block(waits, 10, WALL) >= 10 * 0.02


@pytest.mark.usefixtures("_own_contestants")
def test_a_step_that_takes_twice_as_long_is_measured_and_fails(monkeypatch):
    steady, twice = f"{HERE}steady", f"{HERE}twice"

    def measured(pairs):
        care = Care(rounds=16, warm=0.03, block=0.005)
        got = ratios.measured([pair._replace(products=steady) for pair in pairs], sets=1, care=care)
        return dict(zip(pairs, got.values(), strict=True))

    monkeypatch.setattr(verdict, "measured", measured)
    (line,) = gate(Gates(ratios={CELL: {twice: 1.0}}, band=0.5))
    assert line.startswith(f"{CELL}: {twice}: step / products: got ")
