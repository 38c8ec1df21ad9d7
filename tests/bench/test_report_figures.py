"""The figures: what they show, where values are missing, and that their files are small and steady."""

import re
import sys

import pytest

from chainrule.bench import report
from chainrule.bench.judge.results import Results
from chainrule.bench.report.word_table import percent
from support.bench import records, results, without

pytest.importorskip("chainrule.plots", exc_type=ImportError)
charts = pytest.importorskip("chainrule.bench.report.charts")
drawing = pytest.importorskip("chainrule.bench.report.drawing")

CELLS = ["64-16-10,1", "64-16-10,64", "64-4096-10,1", "64-4096-10,64"]


@pytest.fixture(scope="module")
def run():
    return results()


def drawn(panel):
    """The axes of a panel, and its texts."""
    ax = drawing.picture([panel]).axes[0]
    return ax, [text.get_text() for text in ax.texts]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_map_has_a_value_in_every_cell_and_the_colour_says_who_is_faster(run):
    chart = charts.crossover(run.slices[0])
    fastest, pair, others = chart.panels
    names = [text.partition("\n")[0] for text in drawn(fastest)[1]]
    assert (len(names), set(names)) == (9, {"numpy-jit", "torch"})
    assert pair.title == "numpy-jit against torch"
    assert all(float(text) > 1 for text in drawn(others)[1])
    ax, texts = drawn(pair)
    for text, box in zip(texts, ax.patches, strict=False):
        ratio, (red, _, blue, _) = float(text), box.get_facecolor()
        assert abs(ratio - 1) < 0.05 or (blue > red) == (ratio > 1)
    assert drawing.picture(chart.panels).get_size_inches()[0] == pytest.approx(3 * drawing.WIDTH)
    assert drawing.WIDTH * 96 <= 375  # a telephone
    assert [drawing.readable_on(colour) for colour in ("#0072B2", "#f2f2f0")] == [
        drawing.WHITE,
        drawing.BLACK,
    ]


def test_an_undecided_cell_is_hatched_and_a_missing_one_grey_with_a_letter():
    made = records(names=["numpy", "torch"], shape=(1, 3))
    run = Results(without(made, "torch", status="failed", reason="x", cell="64-16-10,1"))
    ax, texts = drawn(charts.crossover(run.slices[0]).panels[1])
    assert sum(bool(patch.get_hatch()) for patch in ax.patches) == 8  # three rounds decide nothing
    assert texts.count("f") == 1
    assert legend(ax) == ["undecided", "f failed"]


def test_times_are_microseconds_right_of_their_limit_with_the_share_beside(run):
    ax, texts = drawn(charts.step_times(run).panels[0])
    assert ax.get_xscale() == "log"
    limits, *_ = (line.get_xdata() for line in ax.lines)
    steps = [line.get_xdata()[0] for line in ax.lines[2:]]
    assert all(step > limit for step, limit in zip(steps, limits, strict=True))
    assert texts == [percent(limit / step) for step, limit in zip(steps, limits, strict=True)]


def test_files_are_small_and_the_same_every_time_and_dark_where_the_reader_is(tmp_path):
    from chainrule.plots import save

    run = results(CELLS, ["numpy", "torch", "notebook", "products-numpy"], shape=(1, 6))
    files = report.figures(run, tmp_path)
    assert [file.name for file in files] == ["crossover-digits.svg", "time.svg"]
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # not addresses
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert len(text.encode()) < 100_000
        assert "prefers-color-scheme:dark" in text
        assert set(re.findall(r"https?://[^\s\"']+", text)) <= names
    chart = charts.step_times(run)
    again = save(
        drawing.picture(chart.panels, chart.title), tmp_path / "again.svg", style=drawing.dark_rules()
    )
    assert again.read_bytes() == (tmp_path / "time.svg").read_bytes()


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.startswith(("matplotlib", "chainrule.plots"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"\.\[plots\]"):
        report.figures(results(CELLS[:1]), tmp_path)
