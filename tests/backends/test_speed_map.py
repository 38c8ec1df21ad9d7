"""What the map says of workloads that were measured, lie between measured ones, or near them."""

import itertools
import math

import numpy as np
import pytest

from chainrule.backends.speed_map import OutsideMapError, SpeedMap, choose, predict, workload
from chainrule.backends.speed_map.fitting import fit, nonnegative_least_squares
from chainrule.backends.speed_map.wording import microseconds
from support.maps import GRID, NUMPY, TORCH, a_map, a_spot, logs_apart, seconds

KNOWN = a_map()


def test_a_measured_workload_has_the_time_that_was_measured():
    work = workload((64, 256, 10), 16)
    said = predict(KNOWN, work)["numpy"]
    assert said.how == "measured"
    assert said.seconds.estimate == pytest.approx(seconds(NUMPY, work))
    assert said.seconds.low == pytest.approx(0.99 * said.seconds.estimate)


@pytest.mark.parametrize(
    "work",
    [
        workload((64, 256, 10), 64),
        workload((64, 128, 10), 16),
        workload((64, 100, 10), 100),
        workload((64, 1000, 10), 3000),
    ],
    ids=lambda work: work.name,
)
def test_between_measured_ones_the_interval_covers_the_truth(work):
    for name, machine in (("numpy", NUMPY), ("torch", TORCH)):
        said = predict(KNOWN, work)[name]
        assert said.how == "interpolated"
        assert said.seconds.low <= seconds(machine, work) <= said.seconds.high
        assert logs_apart(said.seconds.estimate, seconds(machine, work)) < 0.35


def test_the_fastest_comes_first():
    assert list(predict(KNOWN, workload((64, 16, 10), 1))) == ["numpy", "torch"]
    assert list(predict(KNOWN, workload((64, 1024, 10), 4096))) == ["torch", "numpy"]


@pytest.mark.parametrize("work", [workload((100, 300, 12), 200), workload((64, 256, 128, 10), 64)])
def test_off_the_grid_the_fit_says_it_with_its_error(work):
    said = predict(KNOWN, work)["torch"]
    assert said.how == "fitted"
    assert said.held_out < 0.01  # the machine is made by the fit's own formula
    assert said.seconds.estimate == pytest.approx(seconds(TORCH, work), rel=0.01)


def test_where_the_formula_is_not_the_machine_the_held_out_error_says_so():
    rough = [
        a_spot(spot.workload, {"numpy": [x * factor for x in NUMPY]})
        for spot, factor in zip(KNOWN.spots, itertools.cycle((0.5, 1.0, 1.0, 2.0)), strict=False)
    ]
    said = predict(SpeedMap(rough), workload((100, 300, 12), 200))["numpy"]
    assert said.held_out > 0.3
    assert said.seconds.high / said.seconds.low > 2.0


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (workload((64, 256, 10), 8193), "batch 8193 is more than twice outside"),
        (workload((784, 256, 10), 16), "input size 784 is .*, 64 to 64"),
        (workload((64, 7, 10), 16), "smallest hidden size 7"),
        (workload((64, 256, 10), 16, dtype="float64"), "nothing was measured in float64"),
    ],
)
def test_beyond_twice_outside_it_refuses_and_says_on_which_axis(work, said):
    with pytest.raises(OutsideMapError, match=said):
        predict(KNOWN, work)


def test_up_to_twice_outside_it_answers():
    assert predict(KNOWN, workload((64, 2048, 10), 8192))["numpy"].how == "fitted"


def test_too_few_spots_for_a_fit_are_refused():
    few = SpeedMap(KNOWN.spots[:2])
    with pytest.raises(OutsideMapError, match=r"too little was measured \(spots: 2\)"):
        predict(few, workload((100, 16, 10), 1))


def test_along_a_line_of_a_cross_the_neighbours_on_it_are_taken():
    cross = a_map(grid=[(64, 16), (64, 64), (64, 4), (32, 16), (128, 16)])
    assert predict(cross, workload((64, 64, 10), 32))["numpy"].how == "interpolated"
    assert predict(cross, workload((64, 100, 10), 16))["numpy"].how == "interpolated"
    assert predict(cross, workload((64, 100, 10), 32))["numpy"].how == "fitted"


def test_a_backend_that_was_not_measured_at_a_corner_is_fitted():
    spots = [
        spot._replace(times={"numpy": spot.times["numpy"]}) if spot.workload.batch == 16 else spot
        for spot in KNOWN.spots
    ]
    said = predict(SpeedMap(spots), workload((64, 256, 10), 64))
    assert (said["numpy"].how, said["torch"].how) == ("interpolated", "fitted")


def test_the_fit_finds_the_machine_that_made_the_times():
    works = [spot.workload for spot in KNOWN.spots]
    made = fit(works, [seconds(TORCH, work) for work in works])
    assert made[:3] == pytest.approx(TORCH, rel=1e-6)
    assert made.error < 1e-6


def test_a_part_that_is_not_there_is_zero_and_not_below():
    works = [spot.workload for spot in KNOWN.spots]
    made = fit(works, [1e-5 + 1e-11 * work.flops - 1e-12 * work.bytes for work in works])
    assert min(made[:3]) == 0.0
    assert max(made[:3]) > 0.0


@pytest.mark.parametrize("seed", range(20))
def test_least_squares_with_nothing_below_zero_satisfy_their_conditions(seed):
    """Karush, Kuhn, Tucker: x >= 0, the gradient A'(Ax - b) >= 0, and one of the two is zero."""
    rng = np.random.default_rng(seed)
    A, b = rng.standard_normal((12, 3)), rng.standard_normal(12)
    x = nonnegative_least_squares(A, b)
    gradient = A.T @ (A @ x - b)
    assert (x >= 0).all()
    assert (gradient >= -1e-9).all()
    assert x * gradient == pytest.approx(0.0, abs=1e-9)


def test_least_squares_do_not_mind_units():
    rng = np.random.default_rng(1)
    A, b = rng.random((12, 3)), rng.random(12)
    scale = np.array([1e-12, 1.0, 1e12])
    assert nonnegative_least_squares(A * scale, b) * scale == pytest.approx(
        nonnegative_least_squares(A, b)
    )


def test_the_choice_changes_where_the_machines_change_places():
    sides = {B: choose(KNOWN, workload((64, 256, 10), B)) for _, B in GRID}
    assert [sides[B].backend for B in (1, 16, 256, 4096)] == ["numpy", "numpy", "numpy", "torch"]
    assert all(choice.is_decided for choice in sides.values())


def test_a_choice_says_who_how_fast_how_surely_and_why():
    work = workload((64, 16, 10), 1)
    choice, taken = choose(KNOWN, work), seconds(NUMPY, work)
    times = seconds(TORCH, work) / taken
    assert choice.bound == "launch-bound"
    assert choice.sentence == (
        f"64-16-10, batch 1: numpy takes {microseconds(taken)} us a step (measured), {times:.2f} times as "
        f"fast as torch (95 % interval {times / 1.01:.2f} to {times * 1.01:.2f}); launch-bound: {work.calls} "
        f"calls x 1.00 us, against {microseconds(taken - 1e-6 * work.calls)} us of mathematics"
    )


def test_the_reason_follows_the_largest_part():
    assert choose(KNOWN, workload((64, 1024, 10), 4096)).bound == "GEMM-bound"
    slow_memory = a_map({"numpy": (1e-6, 1e-11, 1e-8)})
    choice = choose(slow_memory, workload((64, 1024, 10), 4096))
    assert choice.bound == "bandwidth-bound"
    assert "the only backend measured; bandwidth-bound: passes over arrays take" in choice.sentence


def test_two_that_take_as_long_are_undecided_and_numpy_is_used():
    even = a_map({"torch": NUMPY, "numpy": NUMPY}, spread=0.05)
    choice = choose(even, workload((64, 256, 10), 16))
    assert not choice.is_decided
    assert choice.backend == "numpy"
    assert "undecided, for the second takes 0.95 to 1.05 times as long" in choice.sentence


def test_pairs_decide_what_the_medians_alone_leave_open():
    machines = {"numpy": NUMPY, "torch": [1.1 * x for x in NUMPY]}
    wide = a_map(machines, spread=0.2)
    work = workload((64, 256, 10), 16)
    tight = SpeedMap([s._replace(ratios=a_spot(s.workload, machines).ratios) for s in wide.spots])
    assert not choose(wide, work).is_decided
    assert choose(tight, work).is_decided


def test_a_backend_that_cannot_be_used_is_not_chosen():
    choice = choose(KNOWN, workload((64, 1024, 10), 4096), lambda name: name != "torch")
    assert choice.backend == "numpy"
    with pytest.raises(OutsideMapError, match="can be used"):
        choose(KNOWN, workload((64, 1024, 10), 4096), lambda _: False)


def test_the_copy_of_each_batch_can_turn_the_choice():
    known = a_map(copy={"numpy": 1e-6, "torch": 1.0})
    work = workload((64, 1024, 10), 4096)
    assert choose(known, work).backend == "torch"
    copied = choose(known.with_copies(), work)
    assert copied.backend == "numpy"
    assert copied.first.seconds.estimate == pytest.approx(seconds(NUMPY, work) + 1e-6)


def test_where_no_copy_was_measured_the_map_of_copies_is_empty():
    with pytest.raises(OutsideMapError, match="nothing was measured"):
        choose(KNOWN.with_copies(), workload((64, 16, 10), 1))


def test_intervals_of_ratios_grow_with_the_gap_between_spots():
    def width(B):
        low, high = choose(KNOWN, workload((64, 256, 10), B)).ratio[1:]
        return math.log(high / low)

    assert width(16) < width(20) < width(64)
