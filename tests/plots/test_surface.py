"""The loss surface: the directions, the loss along them, and the path."""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.mathematics.parameters import Layout
from chainrule.plots import plot_loss_surface, subject
from chainrule.plots.surface import main_directions, random_directions
from support.data import XOR_X, XOR_Y


def network(**options):
    return NeuralNetwork(2, 4, 1, **{"seed": 0, **options})


def test_a_units_part_of_a_direction_is_as_long_as_its_own_parameters_or_1(rng):
    layout = Layout((3, 4, 2))
    theta = rng.standard_normal(layout.total)
    for direction in random_directions(theta, layout, seed=0):
        for d, own in zip(layout.split(direction), layout.split(theta), strict=True):
            wanted = np.sum(own.W**2, axis=0) + own.b[0] ** 2
            assert np.sum(d.W**2, axis=0) + d.b[0] ** 2 == pytest.approx(wanted)
    one, other = (random_directions(np.zeros(3), Layout((2, 1)), seed) for seed in (0, 1))
    assert np.linalg.norm(one, axis=1) == pytest.approx(1.0)
    assert not (one == other).any()


def test_the_main_directions_hold_a_path_that_lies_in_a_plane(rng):
    plane = rng.standard_normal((2, 9))
    steps = rng.standard_normal((6, 2))
    thetas = list(1.0 + steps @ plane)
    directions, shares = main_directions(thetas)
    away = np.array(thetas) - thetas[-1]
    assert away @ directions.T @ directions == pytest.approx(away)
    assert sum(shares) == pytest.approx(1.0)
    assert shares[0] >= shares[1]
    for count in (1, 3):
        with pytest.raises(ValueError, match=f"the path of {count} points spans no plane"):
            main_directions([np.full(5, float(i)) for i in range(count)])


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_the_loss_of_many_networks_at_once_is_the_loss_of_each(rng, loss):
    net = network(loss=loss)
    batch, layout = subject.samples(net, XOR_X, XOR_Y), net.architecture.layout
    thetas = rng.standard_normal((7, layout.total))
    found = subject.losses(thetas, batch, net.architecture)
    for theta, L in zip(thetas, found, strict=True):
        for number, layer in enumerate(layout.split(theta)):
            net.set_layer(number, W=layer.W, b=layer.b)
        wanted = net.evaluate(XOR_X, XOR_Y).loss
        assert pytest.approx(wanted, rel=1e-12) == L


def test_the_levels_are_powers_where_the_loss_varies_by_them_and_the_path_ends_at_the_network():
    net = network(seed=1)
    path = [net.layers]
    for _ in range(20):
        net.train(XOR_X, XOR_Y, epochs=300, learning_rate=0.5, progress=False)
        path.append(net.layers)
    levels = plot_loss_surface(net, XOR_X, XOR_Y).axes[0].collections[0].levels
    assert levels[1:] / levels[:-1] == pytest.approx(levels[1] / levels[0])
    assert levels[0] <= net.evaluate(XOR_X, XOR_Y).loss * 1.01
    axes = plot_loss_surface(net, XOR_X, XOR_Y, path=path).axes[0]
    drawn = axes.lines[0].get_xydata()
    assert len(drawn) == 21
    assert drawn[-1] == pytest.approx([0.0, 0.0])
    assert axes.lines[1].get_xydata()[0] == pytest.approx(drawn[0])
    low, high = axes.get_xlim()
    assert low < drawn[:, 0].min() < drawn[:, 0].max() < high
    assert axes.get_xlabel().startswith("main direction 1 (")
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["path", "start", "this network"]


def test_the_levels_are_even_elsewhere_and_the_axes_and_the_scale_are_named():
    plane, scale = plot_loss_surface(network(weight_decay=0.1), XOR_X, XOR_Y).axes
    levels = plane.collections[0].levels
    assert np.diff(levels) == pytest.approx(levels[1] - levels[0])
    assert (plane.get_xlabel(), plane.get_ylabel()) == ("random direction 1", "random direction 2")
    assert scale.get_ylabel() == "mean squared error + penalty"


def test_where_the_loss_overflows_the_plane_is_blank_and_a_flat_one_is_drawn():
    net = NeuralNetwork(2, 4, 1, activation="identity", loss="mean_squared_error", seed=0)

    def drawn(weight, **bias):
        net.set_layer(0, W=np.full((2, 4), weight), **bias)
        net.set_layer(1, W=np.full((4, 1), weight))
        return plot_loss_surface(net, XOR_X, XOR_Y)

    assert len(drawn(1e77).axes) == 2
    with pytest.raises(ValueError, match="the loss is nowhere finite"):
        drawn(1e150)
    assert len(drawn(0.0, b=np.zeros((1, 4))).axes) == 2
