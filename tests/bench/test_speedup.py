"""Scaling: what was measured on several ranks, and what a model makes of links that are not here."""

import json

import pytest

from chainrule.bench.cells import parse
from chainrule.bench.link import Link, Simulation
from chainrule.bench.measure import speedup
from support.commands import refused
from support.ranks import run

CELL = parse("8-4-2,16")


@pytest.fixture
def short(monkeypatch):
    for name, value in {"ROUNDS": 1, "SECONDS": 0.0, "SUM_SECONDS": 0.0, "SIZES": [8, 64]}.items():
        monkeypatch.setattr(speedup, name, value)


def test_two_ranks_measure_the_same_batches_and_the_model_adds_a_share_and_a_sum(short):
    measured, other = run(2, lambda group: speedup.measure(CELL, group, 1))
    assert other == measured
    assert [point.rows for point in measured.points] == [2, 4, 16]
    assert measured.nbytes == 4 * (8 * 4 + 4 + 4 * 2 + 2 + 2)
    sums = list(measured.sums.values())
    for point, row in zip(measured.points, measured.table(), strict=True):
        assert min(sums) <= measured.model(point) - point.share.estimate <= max(sums)
        assert row[5] == f"{point.alone.estimate / point.together.estimate / 2:.0%}"


def test_a_simulation_takes_less_rows_on_more_ranks_and_averages_seldom(short):
    alone = speedup.measure(CELL, run(1, lambda group: group)[0], 1)
    asked = Simulation(Link(1e-3, 1e6), 8)
    often, seldom = ([*alone.simulated(asked._replace(every=n))] for n in (1, 1000))
    assert [row[:2] for row in often] == [("1", "16"), ("2", "8"), ("4", "4"), ("8", "2")]
    assert all(float(a[2]) > float(b[2]) for a, b in zip(often[1:], seldom[1:], strict=True))


def test_a_sum_over_a_link_takes_its_latency_or_its_bandwidth():
    link = Link(1e-6, 1e9)
    assert link.seconds(8, 8) == pytest.approx(3 * (1e-6 + 8e-9))  # recursive doubling
    assert link.seconds(8, 1e9) == pytest.approx(2 * 7 / 8, rel=1e-4)  # each byte is sent twice at most
    assert link.seconds(1, 1e9) == 0.0


def test_the_command_measures_and_simulates_and_refuses_a_link_in_one_line(short, chainrule):
    words = "bench scale --layers 8,4,2 --batch 16 --simulate"
    told = chainrule(f"{words} alpha=40ms,beta=12.5MB/s,ranks=4,every=100 --json")
    simulated = next(rows for title, rows in json.loads(told.stdout).items() if "simulated" in title)
    assert [row["ranks"] for row in simulated] == ["1", "2", "4"]
    refused(
        chainrule(f"{words} alpha=1,ranks=2"), "got 'alpha=1,ranks=2', wanted alpha=30us,beta=2.5GB/s"
    )
