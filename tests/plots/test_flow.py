"""The flow of the gradient: what is drawn is what a step of training does."""

import array_api_strict
import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.plots import plot_gradient_flow
from support.data import XOR_X, XOR_Y


def network(**options):
    return NeuralNetwork(2, (4, 3), 1, seed=0, **options)


def marked(axes, marker):
    return [y for line in axes.lines if line.get_marker() == marker for y in line.get_ydata()]


def notes(axes):
    return [text.get_text() for text in axes.texts]


def stepped(net, rate, **options):
    before = [layer.W.copy() for layer in net.layers]
    net.train(XOR_X, XOR_Y, epochs=1, learning_rate=rate, progress=False, **options)
    return before, [now.W - W for W, now in zip(before, net.layers, strict=True)]


def test_the_diamonds_and_bars_are_of_the_gradients_that_training_follows():
    net = network(weight_decay=0.1)
    sizes, _ = plot_gradient_flow(net, XOR_X, XOR_Y).axes
    _, moves = stepped(net, 1.0)
    assert marked(sizes, "D") == pytest.approx([np.sqrt(np.mean(move**2)) for move in moves])
    assert sizes.get_yscale() == "log"
    bars = [[ends[:, 1] for ends in bar.get_segments()] for bar in sizes.collections]
    wanted = [[np.quantile(np.abs(m), q) for m in moves] for q in ([0.05, 0.95], [0.25, 0.75])]
    assert np.array(bars) == pytest.approx(np.array(wanted))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_ratios_are_those_of_the_first_step_of_training(optimizer):
    net = network(clip_norm=0.01)
    _, ratios = plot_gradient_flow(net, XOR_X, XOR_Y, learning_rate=0.3, optimizer=optimizer).axes
    before, moves = stepped(net, 0.3, optimizer=optimizer)
    wanted = [np.linalg.norm(m) / np.linalg.norm(W) for m, W in zip(moves, before, strict=True)]
    assert marked(ratios, "o") == pytest.approx(wanted)


def test_a_network_on_another_library_is_drawn_alike():
    X = array_api_strict.asarray(XOR_X.astype(float))
    ours = plot_gradient_flow(network(), XOR_X, XOR_Y).axes[0]
    theirs = plot_gradient_flow(network(backend=array_api_strict), X, XOR_Y).axes[0]
    assert marked(theirs, "D") == pytest.approx(marked(ours, "D"))


def test_vanishing_gradients_fall_from_the_last_layer_to_the_first():
    net = NeuralNetwork(2, (8,) * 10, 1, seed=0)
    sizes = marked(plot_gradient_flow(net, XOR_X, XOR_Y).axes[0], "D")
    assert sizes[-1] > 100 * sizes[0]


@pytest.mark.parametrize(
    ("activation", "biases", "output", "of_sizes", "of_ratios"),
    [
        ("relu", [-100.0, -100.0, 1.0, 1.0], 1.0, ["50%\nare 0"] * 2, []),
        ("relu", [-100.0] * 4, 1.0, ["100%\nare 0"] * 2, ["no\nupdate"] * 2),
        ("sigmoid", [0.0] * 4, 0.0, ["100%\nare 0"], ["no\nupdate", "W\nis 0"]),
    ],
    ids=["half dead", "dead", "weights of 0"],
)
def test_a_log_scale_has_notes_of_what_is_0(activation, biases, output, of_sizes, of_ratios):
    net = NeuralNetwork(2, 4, 1, activation=activation, seed=0)
    net.set_layer(0, b=[biases])
    net.set_layer(1, W=output * net.layers[1].W)
    sizes, ratios = plot_gradient_flow(net, XOR_X, XOR_Y).axes
    assert (notes(sizes), notes(ratios)) == (of_sizes, of_ratios)


def test_what_is_not_known_is_refused():
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        plot_gradient_flow(network(), XOR_X, XOR_Y, optimizer="adm")
    with pytest.raises(ValueError, match="y has 3 rows but X has 4"):
        plot_gradient_flow(network(), XOR_X, XOR_Y[:3])
