"""The limit of the machine: the larger of two times, beaten by nobody unseen; and what a busy machine leaves behind."""

import json

import pytest

from chainrule.bench.cells import parse
from chainrule.bench.judge.results import FLAGS, Place, Results
from chainrule.bench.measure.environment import Pulse, flags
from chainrule.bench.roster import ROSTER, entry
from chainrule.bench.store import FILE, Records, read
from support.runs import a_run, measurement, rates

CELL = parse("784-100-10,200")  # 63.92 MFLOP; 79510 parameters, batches of 200 x 794 numbers
NUMPY = rates("numpy", products=1e11, copies=((1 << 14, 4e10), (1 << 22, 1e10)))
TORCH = rates("torch", products=2e11, copies=((1 << 14, 2e10), (1 << 22, 2e10)))


def results(seconds=1e-3, cell=CELL, machine=(NUMPY, TORCH)):
    run = a_run({cell: {"numpy": seconds}})
    run.rates = list(machine)
    return Results(run)


@pytest.mark.parametrize(
    ("cell", "operation", "limit"),
    [
        (CELL, "step", 63_920_000 / 2e11),  # torch's rate bounds NumPy's step, too
        (CELL, "forward", 2 * 200 * 79_400 / 2e11),
        (CELL._replace(batch=1), "step", 4 * (2 * 79_510 + 794) / 4e10),
        (parse("784-100-10,1,adam"), "step", 4 * (6 * 79_510 + 785) / 4e10),
        (CELL._replace(batch=1), "forward", 4 * (79_510 + 794) / 4e10),
        # In no cache:
        (parse("2000-2000-10,1"), "step", 4 * (2 * 4_022_010 + 2010) / 2e10),
    ],
)
def test_the_limit_is_the_larger_of_two_times_at_the_best_rates_of_all_libraries(cell, operation, limit):
    assert results(cell=cell).limit(Place(cell, "numpy", operation)) == pytest.approx(limit)


def test_without_rates_for_the_device_the_dtype_and_the_threads_there_is_no_limit():
    place = Place(CELL, "numpy")
    assert results(machine=()).limit(place) is None
    for other in (
        place._replace(contestant="cupy"),
        place._replace(threads=1),
        place._replace(cell=CELL._replace(dtype="float64")),
        place._replace(operation="transfer"),
    ):
        assert results().limit(other) is None


@pytest.mark.parametrize(
    ("times", "flag", "share", "is_valid"),
    [(4.0, None, 0.25, True), (0.8, "above limit", 1.0, True), (0.4, "invalid", 1.0, False)],
)
def test_no_share_is_above_one_and_a_step_that_beats_the_limit_is_marked(times, flag, share, is_valid):
    limit = results().limit(Place(CELL, "numpy"))
    figures = results(times * limit).figures(Place(CELL, "numpy"))
    assert figures.share == pytest.approx(share, rel=0.02)
    assert figures.flags == (() if flag is None else (flag,))
    assert figures.is_valid == is_valid
    assert set(figures.flags) <= set(FLAGS)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (Pulse(10.0, 8.0, 7.9, 0.0, 0), ()),  # all of it was the benchmark's
        (Pulse(10.0, 9e9, 1.0, 9e9, 1), ("busy", "stolen", "throttled")),
        (Pulse(10.0, 0.0, 1.0, 0.0, 0), ()),  # a system that counts nothing
    ],
)
def test_what_other_programs_took_is_flagged(after, found):
    assert flags(Pulse(0.0, 0.0, 0.0, 0.0, 0), after) == found


def written(folder, *lines):
    (folder / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "got 0 steps per block"),
        ({"seconds": [1.0]}, "2 rounds and 1 seconds; wanted as many of each"),
        ({"seconds": [1.0, 0.0]}, "shortest 0.0 s; both must be above 0"),
        ({"cell": "64"}, "no cell '64'"),
    ],
)
def test_samples_that_do_not_fit_together_are_refused_with_their_line(tmp_path, change, message):
    good = measurement(CELL, "numpy", 0, [1e-3, 1e-3]).line()
    with pytest.raises(ValueError, match=f"{FILE}, line 2: not a record of a benchmark .*{message}"):
        read(written(tmp_path, good, good | change))


def test_a_later_versions_fields_and_records_are_ignored(tmp_path):
    good = measurement(CELL, "numpy", 0, [1e-3])
    later = {**good.line(), "from": "later"}, {"record": "from later"}
    assert read(written(tmp_path, *later)) == Records(measurements=[good])


def test_every_contestant_looks_different():
    looks = [(one.colour, one.mark) for one in [*ROSTER.values(), entry("mine:own")]]
    assert len(set(looks)) == len(looks)
