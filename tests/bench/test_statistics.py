"""The statistics as a measuring instrument: simulated machines, whose truth is known."""

import math

import numpy as np
import pytest

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench.judge.statistics import geometric_mean, paired, typical, verdict

DEFAULT, QUICK = (3, 15), (1, 9)  # processes, rounds: what `bench run` takes, and `--quick`
QUIET, BUSY = 0.015, 0.05  # how much a block varies by itself, as the deviation of its logarithm
RUNS = 100


class Machine:
    """Makes the seconds of blocks: log-normal, like their neighbours (0.3), now and then far too long."""

    def __init__(self, noise=QUIET, *, process=0.0, seed=0):
        self.noise, self.process = noise, process
        self.rng = np.random.default_rng(seed)

    def own(self, processes, rounds):
        """What a contestant's blocks do by themselves, as logarithms (processes, rounds)."""
        fresh = self.rng.normal(0.0, self.noise, (processes, rounds))
        held = fresh.copy()
        for n in range(1, rounds):
            held[:, n] = 0.3 * held[:, n - 1] + math.sqrt(1 - 0.3**2) * fresh[:, n]
        spikes = self.rng.random((processes, rounds)) < 0.05
        return held + spikes * np.abs(self.rng.standard_t(2, (processes, rounds))) * 0.2

    def pairs(self, shape, ratio=1.0, shared=0.0):
        """Rounds of A and B; what the machine does to both (``shared``) is in both."""
        differing = self.rng.normal(0.0, self.process, (shape[0], 1)) if self.process else 0.0
        a = np.exp(self.own(*shape) + differing + shared) * ratio
        b = np.exp(self.own(*shape) + shared)
        return [list(zip(*rows, strict=True)) for rows in zip(a.tolist(), b.tolist(), strict=True)]


def verdicts(machine, shape, ratio=1.0):
    return [verdict(paired(machine.pairs(shape, ratio))) for _ in range(RUNS)]


@pytest.mark.parametrize(
    ("machine", "shape", "same"),
    [
        (Machine(QUIET), DEFAULT, 0.95),
        (Machine(QUIET), QUICK, 0.0),
        (Machine(BUSY), DEFAULT, 0.0),
        (Machine(BUSY), QUICK, 0.0),
        (Machine(process=0.03), DEFAULT, 0.0),  # processes differ by themselves
    ],
    ids=["quiet", "quiet, quick", "busy", "busy, quick", "processes differ"],
)
def test_a_against_a_is_the_same_or_undecided(machine, shape, same):
    found = verdicts(machine, shape)
    assert found.count("faster") + found.count("slower") <= 0.05 * RUNS
    assert found.count("same") >= same * RUNS


@pytest.mark.parametrize(
    ("noise", "shape", "most"),
    [(QUIET, DEFAULT, 0.95), (BUSY, DEFAULT, 0.95), (QUIET, QUICK, 0.7)],
    ids=["quiet", "busy", "quiet, quick"],
)
def test_a_slowdown_of_a_fifth_is_slower(noise, shape, most):
    for ratio, word in ((1.2, "slower"), (1 / 1.2, "faster")):
        read = verdicts(Machine(noise), shape, ratio)
        assert read.count(word) >= most * RUNS
        assert set(read) <= {word, "undecided"}


def covers(ratio, truth):
    return ratio.low <= truth <= ratio.high


def test_a_drifting_machine_is_covered_by_the_paired_interval_and_not_by_the_unpaired_one():
    machine, truth, shape = Machine(0.02), 1.1, (5, 15)
    ramp = np.linspace(0.0, math.log(1.5), 150)  # a block each: half as slow again at the end
    covered = np.zeros(2)
    for _ in range(RUNS):
        levels = machine.rng.normal(0.0, 0.02, (2, 5, 1))  # of the processes
        pairs = machine.pairs(shape, truth, ramp[::2].reshape(shape) + levels[0])
        a, b = (
            np.exp(machine.own(*shape) + half.reshape(shape) + level)
            for half, level in zip((ramp[:75], ramp[75:]), levels, strict=True)
        )
        ratios = paired(pairs), typical((a * truth).tolist()).over(typical(b.tolist()))
        covered += [covers(ratio, truth) for ratio in ratios]
    assert covered[0] >= 0.93 * RUNS
    assert covered[1] <= 0.1 * RUNS


def test_the_interval_covers_the_truth_on_a_steady_machine_paired_or_not():
    machine, truth = Machine(BUSY), 0.8
    covered = np.zeros(2)
    for _ in range(RUNS):
        pairs = machine.pairs(DEFAULT, truth)
        a, b = ([[one[side] for one in rounds] for rounds in pairs] for side in (0, 1))
        covered += [covers(ratio, truth) for ratio in (paired(pairs), typical(a).over(typical(b)))]
    assert (covered >= 0.93 * RUNS).all()


def test_processes_that_disagree_make_the_interval_wide_however_many_rounds_they_have():
    apart = [[(1.0 + step + 1e-4 * n, 1.0) for n in range(100)] for step in (0.0, 0.2, 0.4)]
    ratio = paired(apart)
    assert ratio.low < 1.0
    assert ratio.high > 1.4


@pytest.mark.parametrize(
    "pairs",
    [*([[(2.0, 1.0)] * rounds] for rounds in (1, 2, 3, 5)), [[(2.0, 1.0)], [(2.1, 1.0)], [(1.9, 1.0)]]],
)
def test_too_few_rounds_decide_nothing(pairs):
    assert paired(pairs) == Interval(pytest.approx(2.0), 0.0, math.inf)
    assert verdict(paired(pairs)) == "undecided"


def test_the_paired_ratio_is_the_same_each_time_its_own_inverse_and_hardly_moved_by_one_long_block():
    pairs = Machine().pairs(DEFAULT, 1.3)
    ratio = paired(pairs)
    assert ratio == paired(pairs)
    turned = paired([[(b, a) for a, b in rounds] for rounds in pairs])
    assert ratio.inverse() == pytest.approx(turned, rel=1e-12)
    hurt = [*pairs[:2], [(pairs[2][0][0] * 1000, pairs[2][0][1]), *pairs[2][1:]]]
    assert paired(hurt).estimate == pytest.approx(ratio.estimate, rel=0.005)
    assert covers(paired([pairs[0], pairs[1][:4], []]), 1.3)  # processes may have been cut short


def test_without_measurements_there_is_no_ratio():
    for function, message in ((paired, "no round"), (geometric_mean, "no ratio")):
        with pytest.raises(ValueError, match=message):
            function([])


@pytest.mark.parametrize(
    ("ratio", "wanted"),
    [
        (Interval(1.00, 0.98, 1.02), "same"),
        (Interval(1.02, 1.01, 1.025), "same"),  # it differs, by less than anybody minds
        (Interval(1.05, 1.02, 1.08), "undecided"),
        (Interval(1.05, 1.04, 1.06), "slower"),
        (Interval(0.95, 0.94, 0.96), "faster"),
        (Interval(1.0, 0.9, 1.1), "undecided"),
    ],
)
def test_the_verdict_is_where_the_whole_interval_lies(ratio, wanted):
    assert verdict(ratio) == wanted
    assert verdict(ratio, band=0.2) == "same"


def test_the_geometric_mean_of_cells_that_agree_is_narrow_and_of_one_cell_its_ratio():
    mean = geometric_mean([Interval(1.2 + step, 1.1, 1.3) for step in (-0.01, 0.0, 0.01)])
    assert mean.estimate == pytest.approx(1.2, rel=1e-3)
    assert 1.15 < mean.low < mean.high < 1.25
    assert geometric_mean([Interval(1.2, 1.1, 1.3)]) == Interval(1.2, 1.1, 1.3)
