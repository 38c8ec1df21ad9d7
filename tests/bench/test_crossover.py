"""The map of who is fastest where, on surfaces whose crossover is known."""

import math

import pytest

from chainrule.bench.cells import preset
from chainrule.bench.judge.crossover import axes, crossover, winners
from chainrule.bench.judge.results import Results
from chainrule.bench.report.contours import Grid, contours
from support.runs import a_run

CELLS = preset("digits", "H=16..4096:x4 B=1..4096:x8")


def steps(cell):
    """Seconds: a slow call and fast products, against a quick call and slow ones; equal at work 1e5."""
    work = cell.hidden * cell.batch
    return {"torch": 1e-4 + 1e-10 * work, "numpy": 1e-5 + 1e-9 * work}


@pytest.fixture
def results():
    return Results(a_run({cell: steps(cell) for cell in CELLS}, noise=0.001))


def test_the_contour_lies_where_both_take_as_long(results):
    line, *others = crossover(results, CELLS, "torch", "numpy").contour
    assert others == []
    assert len(line) > 5
    for H, B in line:
        assert pytest.approx(1e5, rel=0.4) == H * B  # straight between grid lines eight times apart


def test_every_spot_has_its_ratio_and_the_ratio_its_interval(results):
    found = crossover(results, CELLS, "torch", "numpy")
    assert len(found.ratios) == len(CELLS) == len(found.hidden) * len(found.batches)
    ratio = found.ratios[16, 1]
    assert ratio.low < ratio.estimate < ratio.high
    assert ratio.estimate == pytest.approx(10, rel=0.01)


def test_the_winner_changes_from_corner_to_corner(results):
    found = winners(results, CELLS, ["numpy", "torch", "jax"])
    assert (found[16, 1].contestant, found[4096, 4096].contestant) == ("numpy", "torch")
    assert found[16, 1].second == "torch"
    assert found[16, 1].ratio.estimate == pytest.approx(10, rel=0.01)
    assert not found[16, 1].is_tie


def test_a_spot_where_the_interval_spans_1_is_a_tie():
    run = a_run({cell: {"numpy": 1e-4, "torch": 1e-4} for cell in CELLS}, noise=0.02)
    found = crossover(Results(run), CELLS, "torch", "numpy")
    assert len(found.ties) >= 0.8 * len(CELLS)
    assert sum(one.is_tie for one in winners(Results(run), CELLS, ["numpy", "torch"]).values()) > 20


def test_a_map_has_holes_where_nothing_was_measured():
    hole = preset("digits", "H=1024 B=64")
    run = a_run({cell: steps(cell) for cell in CELLS if cell not in hole}, noise=0.001)
    found = crossover(Results(run), CELLS, "torch", "numpy")
    assert (1024, 64) not in found.ratios
    around = [(H, B) for line in found.contour for H, B in line if 257 < H < 4095 and 9 < B < 511]
    assert around == []
    assert found.contour


def test_one_contestant_alone_wins_without_a_second():
    run = a_run({CELLS[0]: {"numpy": 1e-4}})
    winner = winners(Results(run), CELLS, ["numpy", "torch"])[16, 1]
    assert (winner.contestant, winner.second, winner.is_tie) == ("numpy", None, False)
    assert crossover(Results(run), CELLS, "torch", "numpy").contour == []


def test_a_map_is_of_one_shape():
    with pytest.raises(
        ValueError, match="one shape of network, got digits in float32, mnist in float32"
    ):
        axes([*CELLS, *preset("mnist", "H=16 B=1")])


def plane(slope, offset, n=5):
    x = [float(i) for i in range(n)]
    return Grid(x, x, [[slope * p + q - offset for q in x] for p in x])


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 3.0), (0.5, 2.3), (-1.0, 0.5), (2.0, 5.1)])
def test_the_contour_of_a_plane_is_exact_and_one_line(slope, offset):
    (line,) = contours(plane(slope, offset))
    assert all(slope * x + y == pytest.approx(offset) for x, y in line)
    assert all(end[0] in {0.0, 4.0} or end[1] in {0.0, 4.0} for end in (line[0], line[-1]))


def test_a_hill_has_a_closed_contour():
    x = [float(i) for i in range(-4, 5)]
    (line,) = contours(Grid(x, x, [[math.hypot(p, q) - 2.5 for q in x] for p in x]))
    assert line[0] == line[-1]
    assert all(math.hypot(*point) == pytest.approx(2.5, abs=0.15) for point in line)


@pytest.mark.parametrize(("high", "near"), [(3.0, (1.0, 0.0)), (0.5, (0.0, 0.0))])
def test_at_a_saddle_the_corners_that_hang_together_are_not_cut_apart(high, near):
    """Two corners of a square are above zero; where they are high, the pieces go round the other two."""
    pieces = contours(Grid([0.0, 1.0], [0.0, 1.0], [[high, -1.0], [-1.0, high]]))
    assert len(pieces) == 2
    assert any(all(math.dist(point, near) < 0.9 for point in piece) for piece in pieces)


def test_no_crossing_no_contour():
    assert contours(Grid([0.0, 1.0], [0.0, 1.0], [[1.0, 2.0], [3.0, 4.0]])) == []
