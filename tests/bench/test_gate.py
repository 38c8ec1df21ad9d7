"""The gate: what it lets through, what it stops, and in which words."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from chainrule.bench.cells import parse
from chainrule.bench.contestant import Contestant
from chainrule.bench.judge.gate import gates, ratios
from chainrule.bench.judge.gate.counts import counts
from chainrule.bench.judge.gate.gates import Allowed
from chainrule.bench.judge.gate.ratios import Pair
from chainrule.bench.judge.gate.verdict import Instruments, gate, updated
from chainrule.bench.judge.statistics import Ratio
from chainrule.bench.measure.clock import FINE, PROCESSOR, WALL, block
from chainrule.bench.measure.crew import Care
from chainrule.bench.measure.peak_memory import Memory
from support.contestants import HERE

CELL = "2-4-1,4"
PAIR = Pair(CELL, "numpy", "floor-numpy")
TABLE = Path(__file__).parents[2] / "benchmarks" / "gates.toml"
ALLOWED = Allowed(
    {CELL: counts(parse(CELL))._asdict()},
    {CELL: {"numpy": {"kept": 0, "most_rise": 40960}}},
    {CELL: {"numpy": 4.0}},
    band=0.5,
)
FITS, SLOW, UNSURE = Ratio(4.1, 3.9, 4.3, 36), Ratio(8.2, 7.9, 8.6, 36), Ratio(8.2, 5.0, 12.0, 36)


class Looking:
    """Instruments that show what they are told to, and how often they were asked."""

    def __init__(self, *got, memory=None, **counted):
        self.got, self.asked = list(got) or [FITS], []
        self._memory = memory or Memory(0, 1000, 0, 36_984, 900)
        self._counted = counted

    def instruments(self):
        return Instruments(
            counts=lambda cell: counts(cell)._replace(**self._counted),
            memory=lambda _name, _cell: self._memory,
            ratios=self._ratios,
        )

    def _ratios(self, pairs):
        self.asked.append(list(pairs))
        return dict.fromkeys(pairs, self.got.pop(0) if len(self.got) > 1 else self.got[0])


def findings(look, allowed=ALLOWED, **how):
    return [str(finding) for finding in gate(allowed, instruments=look.instruments(), **how)]


def test_what_is_as_the_table_says_passes():
    look = Looking()
    assert findings(look) == []
    assert look.asked == [[PAIR]]


def test_an_operation_more_is_stopped_and_told_which():
    (said,) = findings(Looking(elementwise=23))
    assert said == (
        f"{CELL}: elementwise: got 23, wanted 22; find what is new, or if it is meant: "
        "chainrule bench gate --update"
    )


def test_a_number_that_the_host_reads_is_stopped():
    (said,) = findings(Looking(host_reads=1))
    assert said.startswith(f"{CELL}: host reads: got 1, wanted 0; ")


def test_an_operation_less_is_told_too_so_that_the_table_stays_true():
    assert findings(Looking(launches=28)) == [
        f"{CELL}: launches: got 28, wanted 29; fewer is better: chainrule bench gate --update"
    ]


def test_counts_that_disagree_are_a_finding():
    def disagreeing(_):
        msg = "the step does 6 products, its plan 5"
        raise RuntimeError(msg)

    look = Looking().instruments()._replace(counts=disagreeing)
    assert [finding.remedy for finding in gate(ALLOWED, instruments=look)] == [
        "the step does 6 products, its plan 5"
    ]


@pytest.mark.parametrize(
    ("memory", "said"),
    [
        (Memory(0, 0, 1, 100), "arrays kept by ten passes: got 1, wanted 0; "),
        (Memory(0, 0, 0, 50_000), "bytes that a pass allocates: got 50,000, wanted at most 40,960; "),
    ],
    ids=["kept", "allocated"],
)
def test_an_array_that_is_allocated_is_stopped(memory, said):
    (finding,) = findings(Looking(memory=memory))
    assert finding.startswith(f"{CELL}: numpy: {said}")


def test_a_slow_step_is_stopped_when_it_is_slow_twice():
    look = Looking(SLOW, SLOW)
    (said,) = findings(look)
    assert said == (
        f"{CELL}: numpy: step / floor: got 8.2 (7.9 to 8.6), wanted 4, at most 50% more; find what takes "
        "longer (chainrule bench compare), or if it is meant: chainrule bench gate --update"
    )
    assert look.asked == [[PAIR], [PAIR]]


@pytest.mark.parametrize("second", [FITS, UNSURE])
def test_a_step_that_was_slow_once_passes(second):
    look = Looking(SLOW, second)
    assert findings(look) == []
    assert len(look.asked) == 2


def test_a_machine_too_restless_to_tell_stops_nothing():
    look = Looking(UNSURE)
    assert findings(look) == []
    assert len(look.asked) == 1


def test_a_machine_that_was_calibrated_has_its_own_band():
    assert findings(Looking(SLOW), band=1.1) == []
    assert len(findings(Looking(SLOW), band=0.3)) == 1  # never narrower than the table's


def test_what_cannot_be_timed_does_not_pass():
    (said,) = findings(Looking("llvmlite is not installed"))
    assert (
        said == f"{CELL}: numpy: step / floor: got nothing measured, wanted 4; llvmlite is not installed"
    )


def test_only_what_was_slow_is_measured_again():
    other = replace(ALLOWED, ratios={CELL: {"numpy": 4.0, "numpy-jit": 9.0}})
    look = Looking(SLOW, SLOW)
    assert len(findings(look, other)) == 1
    assert look.asked == [[PAIR, PAIR._replace(over="numpy-jit")], [PAIR]]


def test_the_table_is_written_anew_from_what_is_found(tmp_path):
    file = tmp_path / "gates.toml"
    look = Looking(SLOW, memory=Memory(0, 0, 0, 3_000), launches=31)
    gates.write(updated(ALLOWED, look.instruments()), file)
    again = gates.read(file)
    assert again.counts[CELL]["launches"] == 31
    assert again.memory[CELL]["numpy"] == {"kept": 0, "most_rise": 8192}
    assert again.ratios[CELL]["numpy"] == 8.2
    assert again.band == ALLOWED.band
    assert findings(look, again) == []
    assert file.read_text().startswith(gates.HEAD)


def test_the_table_is_not_written_where_something_cannot_be_measured():
    with pytest.raises(RuntimeError, match=r"not written: numpy in 2-4-1,4: llvmlite is not installed"):
        updated(ALLOWED, Looking("llvmlite is not installed").instruments())


def test_a_table_that_is_none_is_refused(tmp_path):
    file = tmp_path / "gates.toml"
    with pytest.raises(FileNotFoundError, match=r"no table of gates .*; give its path with --table"):
        gates.read(file)
    file.write_text("[ratios.'64-10']\nnumpy = 1\n")
    with pytest.raises(ValueError, match=r"is no table of gates \(no cell '64-10'; write it as"):
        gates.read(file)


def test_the_committed_table_holds_what_steps_consist_of_and_is_as_it_is_written():
    allowed = gates.read(TABLE)
    found = {name: counts(parse(name))._asdict() for name in allowed.counts}
    assert found == allowed.counts
    for name, numbers in found.items():
        cell = parse(name)
        assert (numbers["products"], numbers["row_products"]) == (3 * cell.depth - 1, cell.depth)
        assert (numbers["flops"], numbers["host_reads"]) == (cell.flops, 0)
    assert str(allowed) == TABLE.read_text(encoding="utf-8")


@pytest.mark.skipif(
    time.get_clock_info("process_time").resolution > FINE, reason="it is too coarse here"
)
def test_what_a_step_waits_for_on_a_busy_machine_is_not_its_own():
    assert ratios.CARE.clock == PROCESSOR
    waits = Contestant(run=lambda: time.sleep(0.02), steps=1)
    assert (
        block(waits, 10, PROCESSOR).computed < 0.1
    )  # a thread of BLAS may still be on its way to sleep
    assert block(waits, 10, WALL).computed >= 10 * 0.02


@pytest.mark.usefixtures("_own_contestants")
def test_a_step_that_takes_twice_as_long_is_measured_and_stopped():
    steady, twice = f"{HERE}steady", f"{HERE}twice"

    def measured(pairs):
        care = Care(rounds=16, warm=0.03, block=0.005)
        beside = [Pair(pair.cell, pair.over, steady) for pair in pairs]
        found = ratios.measured(beside, sets=1, care=care)
        return dict(zip(pairs, found.values(), strict=True))

    allowed = Allowed(ratios={CELL: {twice: 1.0}}, band=0.5)
    (finding,) = gate(allowed, instruments=Instruments(ratios=measured))
    assert finding.where == f"{CELL}: {twice}: step / floor"
