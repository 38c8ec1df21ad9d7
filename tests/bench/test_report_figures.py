"""The figures: what they show, where values are missing, and that their files are small and steady."""

import re
import sys
from itertools import pairwise

import pytest

from chainrule.bench import report
from chainrule.bench.judge.results import Results
from chainrule.bench.report.charts import crossover, forest, roofline, step_times, throughput
from chainrule.bench.report.charts.drawing import (
    BLACK,
    WHITE,
    WIDTH,
    alone,
    dark_rules,
    picture,
    readable_on,
)
from chainrule.bench.report.findings import Findings
from chainrule.bench.report.formats import percent
from support.bench import records, results, without

CELLS = ["64-16-10,1", "64-16-10,64", "64-4096-10,1", "64-4096-10,64"]


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("matplotlib")
    return Findings(results())


def texts(panel):
    return [text.get_text() for text in alone(panel).axes[0].texts]


def test_the_map_has_a_value_in_every_cell_and_the_colour_says_who_is_faster(found):
    fastest, pair, others = crossover.chart(found, found.slices[0]).panels
    names = [text.partition("\n")[0] for text in texts(fastest)]
    assert (len(names), set(names)) == (9, {"numpy-jit", "torch"})
    assert pair.title == "numpy-jit against torch"
    assert all(float(text) > 1 for text in texts(others))
    drawn = alone(pair).axes[0]
    for text, box in zip(drawn.texts, drawn.patches, strict=False):
        ratio, (red, _, blue, _) = float(text.get_text()), box.get_facecolor()
        assert abs(ratio - 1) < 0.05 or (blue > red) == (ratio > 1)


def test_an_undecided_cell_is_hatched_and_a_missing_one_grey_with_a_letter():
    pytest.importorskip("matplotlib")
    made = without(records(names=["numpy", "torch"], shape=(1, 3)), "torch", "failed", "x", "64-16-10,1")
    found = Findings(Results(made))
    panel = crossover.chart(found, found.slices[0]).panels[1]
    drawn = alone(panel).axes[0]
    assert sum(bool(patch.get_hatch()) for patch in drawn.patches) == 8  # three rounds decide nothing
    assert texts(panel).count("f") == 1
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["undecided", "f failed"]


def test_times_are_microseconds_right_of_their_limit_with_the_share_beside(found):
    (panel,) = step_times.chart(found).panels
    drawn = alone(panel).axes[0]
    assert drawn.get_xscale() == "log"
    limits, *_ = (line.get_xdata() for line in drawn.lines)
    steps = [line.get_xdata()[0] for line in drawn.lines[2:]]
    assert all(step > limit for step, limit in zip(steps, limits, strict=True))
    shares = [percent(limit / step) for step, limit in zip(steps, limits, strict=True)]
    assert texts(panel) == shares


def test_all_panels_of_throughput_share_their_axis_and_name_every_line(found):
    panels = throughput.chart(found, found.slices[0]).panels
    assert [panel.title for panel in panels] == ["batch 1", "batch 64", "batch 4096"]
    drawn = [alone(panel).axes[0] for panel in panels]
    assert len({ax.get_ylim() for ax in drawn}) == 1
    for ax in drawn:
        assert {"numpy", "numpy-jit", "torch"} == {text.get_text() for text in ax.texts}
        heights = sorted(text.xyann[1] for text in ax.texts)
        assert all(b - a > 0.08 for a, b in pairwise(heights))


def test_points_lie_under_one_roof_with_a_marker_for_each_batch(found):
    roof, _, *points = alone(roofline.chart(found).panels[0]).axes[0].lines
    assert len(points) == 9
    assert max(point.get_ydata()[0] for point in points) < max(roof.get_ydata())
    assert len({point.get_marker() for point in points}) == 3


def test_the_other_libraries_are_right_of_one_where_chainrule_is_faster(found):
    (panel,) = forest.chart(found).panels
    drawn = alone(panel).axes[0]
    points = [line for line in drawn.lines if line.get_marker() not in {"None", ""}]
    assert len(points) == 2 * len(drawn.get_yticks())
    assert all(point.get_xdata()[0] > 1 for point in points)
    assert [text.get_text() for text in drawn.get_legend().get_texts()] == ["notebook", "torch-eager"]


def test_files_are_small_and_the_same_every_time_and_dark_where_the_reader_is(tmp_path):
    save = pytest.importorskip("chainrule.plots.canvas", exc_type=ImportError).save
    run = results(CELLS, ["numpy", "torch", "notebook", "products-numpy"], shape=(1, 6))
    files = report.figures(run, tmp_path)
    assert [file.name for file in files] == [
        *("crossover-digits.svg", "time.svg", "roofline.svg", "throughput-digits.svg", "peers.svg")
    ]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert len(text.encode()) < 100_000
        assert "prefers-color-scheme:dark" in text
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= {
            *("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")
        }
    chart = forest.chart(Findings(run))
    again = save(picture(chart), tmp_path / "again.svg", style=dark_rules())
    assert again.read_bytes() == (tmp_path / "peers.svg").read_bytes()
    assert save(picture(chart), tmp_path / "peers.png").stat().st_size > 10_000


def test_every_panel_fits_a_telephone_and_its_text_stands_out(found):
    assert WIDTH * 96 <= 375
    whole = picture(crossover.chart(found, found.slices[0]))
    assert whole.get_size_inches()[0] == pytest.approx(3 * WIDTH)
    assert [readable_on(colour) for colour in ("#0072B2", "#f2f2f0")] == [WHITE, BLACK]


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "chainrule.plots"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"\.\[plots\]"):
        report.figures(results(CELLS[:1]), tmp_path)
