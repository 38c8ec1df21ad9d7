"""The diagram: colour is the sign, width the size, of the weights and of their gradients."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from chainrule import NeuralNetwork
from chainrule.plots import plot_network
from chainrule.plots.canvas import NEGATIVE, POSITIVE
from support.data import XOR_X, XOR_Y


def lines(axes):
    """The width of each line by its ends, negative where the line has the colour of numbers below 0."""
    found = {}
    for layer in (c for c in axes.collections if type(c).__name__ == "LineCollection"):
        parts = (layer.get_segments(), layer.get_linewidths(), layer.get_colors())
        for ends, width, colour in zip(*parts, strict=True):
            sign = {to_rgb(POSITIVE): 1, to_rgb(NEGATIVE): -1}[tuple(colour[:3])]
            found[tuple(ends.ravel().round(6))] = sign * width
    return found


def drawn(axes, W, layer):
    """The signed widths of a layer's lines, in the shape of W: the first unit is the topmost."""
    here = {ends: width for ends, width in lines(axes).items() if ends[0] == layer}
    starts = sorted({ends[1] for ends in here}, reverse=True)
    stops = sorted({ends[3] for ends in here}, reverse=True)
    found = np.array([[here[layer, a, layer + 1, b] for b in stops] for a in starts])
    assert found.shape == W.shape
    return found


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_a_line_is_as_wide_as_its_weight_or_the_gradient_that_training_follows():
    net = NeuralNetwork(3, 4, 2, seed=0)
    X, Y = np.eye(4, 3), np.eye(4, 2)
    before = [layer.W.copy() for layer in net.layers]
    weights, slopes = plot_network(net, X, Y).axes
    net.backward(X, Y, learning_rate=1.0)
    gradients = [W - layer.W for W, layer in zip(before, net.layers, strict=True)]
    for axes, name, arrays in ((weights, "weights", before), (slopes, "gradients", gradients)):
        assert name in axes.get_title()
        widest = max(np.abs(array).max() for array in arrays)
        for number, array in enumerate(arrays):
            assert drawn(axes, array, number) == pytest.approx(4.0 * array / widest, rel=1e-6)
        title = axes.get_legend().get_title().get_text()
        assert title.startswith(f"widest line {widest:.3g}, ")


def test_a_disc_is_filled_by_its_bias():
    net = NeuralNetwork(1, 3, 1, seed=0)
    net.set_layer(0, b=[[2.0, 0.0, -1.0]])
    axes = plot_network(net).axes[0]
    discs = [c for c in axes.collections if type(c).__name__ == "PathCollection"][1]
    up, none, down = (tuple(colour[:3]) for colour in discs.get_facecolors())
    assert up == pytest.approx(to_rgb(POSITIVE))
    assert none == (1.0, 1.0, 1.0)
    assert down == pytest.approx([(1 + part) / 2 for part in to_rgb(NEGATIVE)])


def test_few_weights_are_written_in_figures_and_no_two_of_them_overlap():
    net = NeuralNetwork(2, 4, 1, seed=1)
    picture = plot_network(net)
    axes = picture.axes[0]
    written = [f"{value:.2g}" for layer in net.layers for value in layer.W.ravel()]
    assert [text for text in texts(axes) if text in written] == written
    picture.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text() in written]
    for i, box in enumerate(boxes):
        assert not any(box.shrunk(0.8, 0.6).overlaps(other.shrunk(0.8, 0.6)) for other in boxes[:i])


def test_of_a_wide_layer_the_first_and_the_last_units_are_drawn_with_dots_between():
    net = NeuralNetwork(784, 512, 10, activation="relu", loss="cross_entropy", seed=0)
    axes = plot_network(net).axes[0]
    assert texts(axes).count("⋮") == 2
    discs = [len(c.get_offsets()) for c in axes.collections if type(c).__name__ == "PathCollection"]
    assert discs == [10, 10, 10]
    ends = [*range(5), *range(-5, 0)]
    shown = net.layers[0].W[np.ix_(ends, ends)]
    assert np.sign(drawn(axes, shown, 0)).tolist() == np.sign(shown).tolist()
    assert {"input\n784", "hidden\n512 relu", "output\n10 identity"} <= set(texts(axes))
    axes = plot_network(NeuralNetwork(2, 30, 1, seed=0), most=30).axes[0]
    assert [len(c.get_offsets()) for c in axes.collections[2:]] == [2, 30, 1]


@pytest.mark.parametrize("sizes", [(1, 1, 1), (3, (1, 12, 1), 2), (2, (), 1), (4, (16,) * 20, 1)])
def test_every_layer_has_its_name_under_it(sizes):
    net = NeuralNetwork(*sizes, seed=0)
    names = [text for text in texts(plot_network(net).axes[0]) if "\n" in text]
    assert len(names) == len(net.architecture.sizes)
    assert names[0] == f"input\n{sizes[0]}"
    assert names[-1].startswith(f"output\n{sizes[2]} ")


def test_a_network_of_zeros_says_so():
    net = NeuralNetwork(2, 4, 1, seed=0)
    for number in (0, 1):
        net.set_layer(number, W=0 * net.layers[number].W)
    axes = plot_network(net).axes[0]
    assert axes.get_legend().get_title().get_text() == "all lines 0, all discs 0"
    assert set(lines(axes).values()) == {0.0}


def test_data_that_do_not_fit_are_refused_as_in_training_and_so_is_one_of_X_and_y_alone():
    with pytest.raises(ValueError, match="got only one of X and y"):
        plot_network(NeuralNetwork(2, 4, 1), XOR_X)
    with pytest.raises(ValueError, match="X has 3 features but the network takes 2"):
        plot_network(NeuralNetwork(2, 4, 1), np.zeros((4, 3)), XOR_Y)
