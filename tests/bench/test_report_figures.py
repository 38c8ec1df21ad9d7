"""The figures: one drawing for the page and for files, readable in light and dark, the same every time."""

import re
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from chainrule.bench import report
from chainrule.bench.cells import Cell, parse
from chainrule.bench.judge.results import Results
from chainrule.bench.report.charts import crossover_map, parts, peers, roofline, sections, throughput
from chainrule.bench.report.charts.panels import spread
from chainrule.bench.report.drawings import inks
from chainrule.bench.report.drawings.axes import Scale, apart
from chainrule.bench.report.drawings.shapes import Box, Mark, Path, Words, sheet
from chainrule.bench.report.drawings.svg import document
from chainrule.bench.report.findings import Findings
from support.bench import records, results, without

MOST_BYTES = 150_000


def of_kind(drawing, kind):
    return [shape for shape in drawing.shapes if isinstance(shape, kind)]


def words(drawing):
    return [shape.text for shape in of_kind(drawing, Words)]


@pytest.fixture(scope="module")
def found():
    return Findings(results())


def test_the_map_has_a_value_in_every_cell_and_a_line_where_both_are_level(found):
    figure = crossover_map.figure(found, found.slices[0])
    fastest, pair, others = figure.panels
    assert words(fastest).count("numpy-jit") + words(fastest).count("torch") == 9
    assert any("numpy-jit against torch" in word for word in words(pair))
    assert any(shape.stroke == "ink" for shape in of_kind(pair, Path))  # they change places
    assert not of_kind(others, Path)  # ours is faster everywhere
    assert len([box for box in of_kind(pair, Box) if box.says]) == 9


def test_the_colours_of_the_map_say_which_side_is_faster(found):
    pair = crossover_map.figure(found, found.slices[0]).panels[1]
    for box in (box for box in of_kind(pair, Box) if box.says):
        ratio = float(re.search(r"numpy-jit ([\d.]+) times as fast", box.says)[1])
        if abs(ratio - 1) > 0.15:  # what is told is rounded
            assert box.fill.startswith("faster" if ratio > 1 else "slower")


def test_an_undecided_cell_is_hatched_and_a_missing_one_grey():
    made = without(records(names=["numpy", "torch"], shape=(1, 3)), "torch", "failed", "x", "64-16-10,1")
    found = Findings(Results(made))
    boxes = of_kind(crossover_map.figure(found, found.slices[0]).panels[1], Box)
    cells = [box for box in boxes if box.says]
    assert sum(box.hatched for box in cells) == 8  # three rounds decide nothing
    assert [box.says for box in cells if box.fill == "absent"] == ["64-16-10,1: failed: x"]


def test_throughput_has_a_panel_a_batch_and_a_name_at_every_line(found):
    figure = throughput.figure(found, found.slices[0])
    assert [panel.title.partition(":")[0] for panel in figure.panels] == [
        "batch 1",
        "batch 64",
        "batch 4096",
    ]
    for panel in figure.panels:
        assert {"numpy", "numpy-jit", "torch"} <= set(words(panel))
        assert len(of_kind(panel, Mark)) == 9
        assert sum(path.dashed for path in of_kind(panel, Path)) == 2  # a floor for each library


def test_the_parts_of_a_step_add_up_to_it(found):
    best = found.best(parse("64-4096-10,64"), ["torch"])
    shares = parts.parts(best)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["products"] == pytest.approx(best.products / best.step)


def test_points_lie_under_the_roof_and_intensity_counts_each_operand_once(found):
    for cell in found.slices[0].cells:
        assert roofline.intensity(cell) == cell.flops / roofline.bytes_of(cell)
    # Z = X W and dL/dW for the first layer, dL/dX too for the second.
    n, inputs, hidden, outputs = 8, 3, 5, 2
    first = n * inputs + inputs * hidden + n * hidden
    second = n * hidden + hidden * outputs + n * outputs
    assert roofline.bytes_of(Cell((inputs, hidden, outputs), n)) == 4 * (2 * first + 3 * second)
    panel = roofline.figure(found, found.slices[0]).panels[0]
    roof = next(path for path in of_kind(panel, Path) if path.stroke == "ink")
    flat = min(y for _, y in roof.points)
    assert all(mark.y >= flat - 1 for mark in of_kind(panel, Mark) if mark.says)


def test_the_others_stand_beside_a_line_at_one_with_their_intervals(found):
    (figure,) = peers.figures(found)
    assert [panel.title for panel in figure.panels] == ["Against notebook", "Against torch-eager"]
    panel = figure.panels[0]
    one = next(path for path in of_kind(panel, Path) if path.stroke == "ink").points[0][0]
    assert all(mark.x > one for mark in of_kind(panel, Mark))


def test_files_are_small_the_same_every_time_and_hold_their_text(tmp_path):
    first = report.figures(results(), tmp_path / "one")
    second = report.figures(results(), tmp_path / "two")
    assert len(first) == 5
    for one, other in zip(first, second, strict=True):
        text = one.read_text(encoding="utf-8")
        assert text == other.read_text(encoding="utf-8")
        assert len(text.encode()) < MOST_BYTES
        root = ET.fromstring(text)  # noqa: S314  our own
        assert root.findall(".//{*}text")
        assert root.find("{*}title").text
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_figure_in_a_file_turns_dark_with_its_reader(found):
    for figures in sections(found).values():
        for figure in figures:
            text = document(sheet(figure))
            used = set(re.findall(r"\b[fs]-([a-z0-9-]+)", text))
            style = text[text.index("<style>") : text.index("</style>")]
            assert "prefers-color-scheme: dark" in style
            assert all(f".f-{name}{{" in style for name in used)


def test_every_panel_fits_a_telephone_or_scales_to_it(found):
    widths = [p.width for figures in sections(found).values() for f in figures for p in f.panels]
    assert max(widths) <= 380


def test_all_that_is_drawn_lies_on_its_sheet(found):
    for figure in (f for figures in sections(found).values() for f in figures):
        for panel in [*figure.panels, sheet(figure)]:
            for word in of_kind(panel, Words):
                assert 0 <= word.y <= panel.height, (figure.name, word)
            for mark in of_kind(panel, Mark):
                assert 0 <= mark.x <= panel.width, (figure.name, mark)


def test_png_is_the_same_drawing(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    files = report.figures(results(["64-16-10,1", "64-16-10,8", "64-64-10,1"]), tmp_path, ["png", "svg"])
    for png in (file for file in files if file.suffix == ".png"):
        width, height = (
            float(n)
            for n in re.search(
                r'width="([\d.]+)" height="([\d.]+)"', png.with_suffix(".svg").read_text()
            ).groups()
        )
        rows, columns = imread(png).shape[:2]
        assert (columns, rows) == (pytest.approx(2 * width, abs=2), pytest.approx(2 * height, abs=2))
        assert imread(png)[..., :3].min() < 0.2  # something is on it


def test_png_without_matplotlib_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"chainrule\[plots\]"):
        report.figures(results(["64-16-10,1"]), tmp_path, ["png"])


# -- Inks and scales ------------------------------------------------------------------------------------

TEXT = [*dict.fromkeys(ink for ink, _ in inks.CONTESTANTS.values()), "ink", "muted"]


@pytest.mark.parametrize("name", TEXT)
def test_text_is_readable_on_its_page(name):
    for text, page in zip(inks.resolved(name), inks.resolved("page"), strict=True):
        assert inks.contrast(text, page) >= 4.5


BOXES = [name for name in inks.INKS if name.startswith(("slower", "faster", "level"))]


@pytest.mark.parametrize("name", [*BOXES, *TEXT[:-2], *parts.INKS.values()])
def test_text_is_readable_on_its_box(name):
    for text, box in zip(inks.resolved(inks.over(name)), inks.resolved(name), strict=True):
        assert inks.contrast(text, box) >= 4.5


def test_the_ends_of_the_scale_mirror_each_other():
    assert inks.diverging(4.0) == inks.diverging(0.25).replace("slower", "faster")
    assert inks.diverging(1.01) == inks.diverging(0.99) == "level"


def test_a_scale_is_logarithmic_and_its_ticks_lie_within():
    scale = Scale(3, 4000, 0, 100)
    assert scale(3) == 0
    assert scale((3 * 4000) ** 0.5) == pytest.approx(50)
    assert all(3 <= tick <= 4000 for tick in scale.ticks())
    assert len(scale.ticks()) >= 3


def test_labels_keep_apart_in_their_order():
    placed = apart([50, 51, 52, 0, 99], 12, 0, 100)
    assert sorted(placed) == [placed[i] for i in (3, 0, 1, 2, 4)]
    ordered = sorted(placed)
    assert min(b - a for a, b in pairwise(ordered)) >= 12 - 1e-9
    assert max(placed) <= 100


def test_a_few_cells_stand_for_many_with_the_least_and_the_most():
    cells = [parse(f"64-{H}-10,8") for H in range(1, 40)]
    chosen = spread(cells, 5)
    assert len(chosen) == 5
    assert (chosen[0], chosen[-1]) == (cells[0], cells[-1])
