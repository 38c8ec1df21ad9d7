"""The choice for workloads that were measured, lie between two measured ones, or lie elsewhere."""

import pytest

from chainrule.backends.speed_map.choice import OutsideMapError, choose
from chainrule.backends.speed_map.spots import SpeedMap, Workload, three_digits
from support.maps import GRID, NUMPY, TORCH, a_map, a_spot, logs_apart, seconds

KNOWN = a_map()


def rows_of(known, work):
    return {row.backend: row for row in choose(known, work).estimates}


def test_a_measured_workload_has_the_time_that_was_measured():
    work = Workload((64, 256, 10), 16)
    row = rows_of(KNOWN, work)["numpy"]
    assert row.how == "measured"
    assert row.seconds.estimate == pytest.approx(seconds(NUMPY, work))
    assert row.seconds.high == pytest.approx(1.01 * row.seconds.estimate)


def test_between_measured_ones_the_interval_covers_the_truth():
    for hidden, batch in ((256, 64), (128, 16)):
        work = Workload((64, hidden, 10), batch)
        for name, machine in (("numpy", NUMPY), ("torch", TORCH)):
            row = rows_of(KNOWN, work)[name]
            assert row.how == "interpolated"
            assert row.seconds.low <= seconds(machine, work) <= row.seconds.high
            assert logs_apart(row.seconds.estimate, seconds(machine, work)) < 1.0


def test_left_out_of_the_map_a_cell_has_the_same_backend_or_is_undecided():
    """The cells at the corners of the map lie outside of what is left."""
    for H, B in GRID:
        work = Workload((64, H, 10), B)
        rest = SpeedMap([spot for spot in KNOWN.spots if spot.workload != work])
        if H in (16, 1024) and B in (1, 4096):
            with pytest.raises(OutsideMapError):
                choose(rest, work)
            continue
        choice = choose(rest, work)
        first = "numpy" if seconds(NUMPY, work) < seconds(TORCH, work) else "torch"
        assert not choice.is_decided or choice.backend == first


def test_outside_of_what_was_measured_there_is_no_choice():
    for work in (
        Workload((64, 256, 10), 4097),
        Workload((784, 256, 10), 16),
        Workload((64, 7, 10), 16),
        Workload((64, 100, 10), 100),  # neither its hidden size nor its batch size was measured
        Workload((64, 256, 128, 10), 64),
        Workload((64, 256, 10), 16, dtype="float64"),
        Workload((64, 256, 10), 16, rule="adam"),
    ):
        with pytest.raises(OutsideMapError, match="lies outside the measured range"):
            choose(KNOWN, work)


def test_a_backend_that_was_not_measured_at_both_neighbours_is_left_out():
    spots = [
        spot._replace(times={"numpy": spot.times["numpy"]}) if spot.workload.batch == 16 else spot
        for spot in KNOWN.spots
    ]
    assert set(rows_of(SpeedMap(spots), Workload((64, 256, 10), 64))) == {"numpy"}


def test_the_choice_changes_where_the_machines_change_places():
    sides = {B: choose(KNOWN, Workload((64, 256, 10), B)) for _, B in GRID}
    assert [sides[B].backend for B in (1, 16, 256, 4096)] == ["numpy", "numpy", "numpy", "torch"]
    assert [row.backend for row in sides[4096].estimates] == ["torch", "numpy"]
    assert all(choice.is_decided for choice in sides.values())
    assert not choose(KNOWN, Workload((64, 256, 10), 1000)).is_decided  # they change places near it


def test_a_choice_says_which_backend_how_fast_and_how_surely():
    work = Workload((64, 16, 10), 1)
    choice, taken = choose(KNOWN, work), seconds(NUMPY, work)
    times = seconds(TORCH, work) / taken
    assert choice.sentence == (
        f"64-16-10, batch 1: numpy takes {three_digits(1e6 * taken)} us a step (measured), {times:.2f} times as "
        f"fast as torch (95 % interval {times / 1.01:.2f} to {times * 1.01:.2f})"
    )


def test_pairs_decide_what_the_medians_alone_leave_open():
    machines = {"numpy": NUMPY, "torch": [1.1 * x for x in NUMPY]}
    wide = a_map(machines, spread=0.2)
    work = Workload((64, 256, 10), 16)
    tight = SpeedMap([s._replace(ratios=a_spot(s.workload, machines).ratios) for s in wide.spots])
    assert not choose(wide, work).is_decided
    assert choose(tight, work).is_decided


def test_a_backend_that_cannot_be_used_is_not_chosen():
    choice = choose(KNOWN, Workload((64, 1024, 10), 4096), lambda name: name != "torch")
    assert choice.backend == "numpy"
    assert choice.sentence.endswith("the only backend measured")
    with pytest.raises(OutsideMapError, match="can be used"):
        choose(KNOWN, Workload((64, 1024, 10), 4096), lambda _: False)
