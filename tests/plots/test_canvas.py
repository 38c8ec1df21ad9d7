"""The canvas: pictures without pyplot, their files, and what is refused."""

import gc
import re
import subprocess
import sys
import weakref

import matplotlib
import pytest
from matplotlib.figure import Figure

from chainrule import NeuralNetwork, plots
from chainrule.plots.canvas import class_colours, spans_decades
from support.data import XOR_X, XOR_Y


def network():
    return NeuralNetwork(2, 4, 1, seed=0)


@pytest.fixture(scope="module")
def drawn():
    """Every function of the room, on something small."""
    net = network()
    history = net.train(XOR_X, XOR_Y, epochs=3, progress=False)
    return {
        "history": history.plot,
        "boundary": lambda: plots.plot_decision_boundary(net, XOR_X, XOR_Y),
        "network": lambda: plots.plot_network(net, XOR_X, XOR_Y),
        "flow": lambda: plots.plot_gradient_flow(net, XOR_X, XOR_Y),
        "confusion": lambda: plots.plot_confusion([0, 1, 1], [0, 1, 0]),
        "predictions": lambda: plots.plot_predictions([0.0, 1.0], [0.1, 0.9]),
        "surface": lambda: plots.plot_loss_surface(net, XOR_X, XOR_Y),
    }


def test_nothing_of_a_picture_is_cut_off(drawn):
    for name, draw in drawn.items():
        picture = draw()
        picture.draw_without_rendering()
        box, (width, height) = picture.get_tightbbox(), picture.get_size_inches()
        assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= 0, name


def test_the_same_picture_is_the_same_file_and_the_letters_of_an_svg_are_text(drawn, tmp_path):
    before = dict(matplotlib.rcParams)
    for suffix, start in ((".pdf", b"%PDF"), (".png", b"\x89PNG"), (".svg", b"<?xml")):
        first, second = (
            plots.save(drawn["confusion"](), tmp_path / f"{name}{suffix}").read_bytes() for name in "ab"
        )
        assert first == second
        assert first.startswith(start)
        assert b"Date" not in first
    assert b"dc:date" not in first
    assert len(re.findall(rb"<text ", first)) >= 3
    assert dict(matplotlib.rcParams) == before
    picture = drawn["predictions"]()
    assert plots.save(picture, tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG\r\n")
    assert picture._repr_png_().startswith(b"\x89PNG\r\n")  # for a notebook


def test_pictures_need_no_pyplot_and_importing_chainrule_no_matplotlib():
    code = (
        "import sys, chainrule; assert 'matplotlib' not in sys.modules;"
        "from chainrule import plots; plots.plot_network(chainrule.NeuralNetwork(2, 4, 1));"
        "assert 'matplotlib' in sys.modules; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_picture_is_gone_when_its_last_name_is():
    picture = plots.plot_network(network())
    kept = weakref.ref(picture)
    del picture
    gc.collect()
    assert kept() is None


def test_axes_of_ones_own_are_saved_as_the_figure_around_them(tmp_path):
    axes = Figure().subplots()
    assert plots.plot_confusion([0, 1], [0, 1], ax=axes) is axes
    assert b"predicted class" in plots.save(axes, tmp_path / "a.svg").read_bytes()


def test_another_suffix_and_a_missing_folder_are_refused_and_nothing_written(tmp_path):
    for name, reason in (("a.gif", r"ends in \.gif"), ("a", "ends in no suffix")):
        with pytest.raises(ValueError, match=rf"{reason}; give a name that ends in \.png, \.svg or"):
            plots.save(Figure(), tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        plots.save(Figure(), tmp_path / "none" / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_as_many_axes_are_wanted_as_there_are_panels():
    pair = Figure().subplots(2)
    assert plots.plot_gradient_flow(network(), XOR_X, XOR_Y, ax=pair) is pair
    with pytest.raises(ValueError, match="ax has 1 Axes but there are 2 panels"):
        plots.plot_gradient_flow(network(), XOR_X, XOR_Y, ax=pair[0])
    with pytest.raises(TypeError, match="ax is 'Figure', wanted a matplotlib Axes"):
        plots.plot_network(network(), ax=Figure())
    with pytest.raises(TypeError, match="ax is 'str'"):
        plots.plot_network(network(), ax="here")


def test_each_class_has_a_colour_and_a_log_scale_suits_a_spread_over_a_power_of_ten():
    counts = (1, 2, 8, 9, 10, 11, 40)
    assert [len(set(class_colours(count))) for count in counts] == list(counts)
    spreads = ([1, 10], [1, 9], [0, 10], [-1, 10], [float("nan")])
    assert [spans_decades(values) for values in spreads] == [True, False, False, False, False]


def test_without_matplotlib_one_line_says_what_to_install(without_matplotlib):
    remedy = r"pip install '\.\[plots\]' in a clone of chainrule"
    with pytest.raises(ImportError, match=f"^pictures need matplotlib; {remedy}$"):
        from chainrule import plots  # noqa: F401
