"""Where parameters lie, where they start, and what an architecture counts."""

# ruff: noqa: NPY002  an unseeded network draws from NumPy's global state

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import NeuralNetwork
from chainrule.mathematics.activations import ACTIVATIONS
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.initializers import DEFAULTS, INITIALIZERS, draw
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.parameters import Layout

widths = st.lists(st.integers(1, 5), min_size=2, max_size=5)


@given(widths, st.lists(st.integers(1, 3), max_size=2))
def test_split_and_join_are_inverse(sizes, stack):
    layout = Layout(sizes)
    flat = np.arange(float(np.prod(stack, dtype=int) * layout.total)).reshape(*stack, layout.total)
    layers = layout.split(flat)
    assert (layout.join(layers) == flat).all()
    for layer, n_in, n_out in zip(layers, sizes[:-1], sizes[1:], strict=True):
        assert layer.W.shape == (*stack, n_in, n_out)
        assert layer.b.shape == (*stack, 1, n_out)


@given(widths)
def test_weights_come_first_and_then_the_biases_layer_by_layer(sizes):
    layout = Layout(sizes)
    pairs = list(pairwise(sizes))
    marked = [Dense(np.full(p, float(i)), np.full((1, p[1]), 100.0 + i)) for i, p in enumerate(pairs)]
    flat = layout.join(marked)
    assert (flat == np.sort(flat)).all()
    assert (flat < 100).sum() == layout.weights
    assert [name for name, _ in layout.named_shapes] == [
        f"{k}{i + 1}" for k in "Wb" for i in range(len(pairs))
    ]


def test_layers_are_views_of_the_flat_array_where_the_library_has_views_and_numpys_everywhere(backend):
    flat = np.zeros(17)
    Layout((2, 4, 1)).split(flat)[0].W[1, 3] = 5.0
    assert flat[7] == 5.0
    layout = Layout((3, 4, 2))
    flat = np.arange(float(layout.total))
    for got, wanted in zip(layout.split(backend.asarray(flat)), layout.split(flat), strict=True):
        assert (backend.to_numpy(got.W) == wanted.W).all()
        assert (backend.to_numpy(got.b) == wanted.b).all()


# -- the start -----------------------------------------------------------------------------------------


def test_biases_start_at_zero_and_weights_by_the_activation_of_their_layer():
    for name in ACTIVATIONS:
        wanted = DEFAULTS.get(name, "glorot_uniform")
        net = architecture((400, (300,), 200), name, name, "squared_error")
        first, second = net.layout.split(draw(net, seed=1))
        assert not first.b.any()
        assert not second.b.any()
        spread = {
            "standard_normal": (1.0, 1.0),
            "glorot_uniform": ((2 / 700) ** 0.5, (2 / 500) ** 0.5),
            "he_normal": ((2 / 400) ** 0.5, (2 / 300) ** 0.5),
        }[wanted]
        assert (first.W.std(), second.W.std()) == pytest.approx(spread, rel=0.02)
        assert abs(first.W.mean()) < 4 * spread[0] / (400 * 300) ** 0.5
    W = INITIALIZERS["glorot_uniform"](np.random.default_rng(0), 200, 100)
    assert 0.99 * (6 / 300) ** 0.5 < np.abs(W).max() <= (6 / 300) ** 0.5


def test_uniform_biases_leave_the_weights_as_they_are_and_keep_to_pytorchs_range():
    net = architecture((16, (3000,), 400))
    zero, drawn = (
        net.layout.split(draw(net, "he_normal", 3, biases)) for biases in ("zeros", "uniform")
    )
    for before, after in zip(zero, drawn, strict=True):
        assert (before.W == after.W).all()
        limit = len(after.W) ** -0.5
        assert 0.98 * limit < np.abs(after.b).max() <= limit
    own = NeuralNetwork(4, 3, 2, bias_initializer=lambda _, n_in, n_out: np.full((1, n_out), n_in))
    assert own.layers[0].b.tolist() == [[4.0] * 3]
    with pytest.raises(ValueError, match="unknown bias_initializer 'unifrom'; did you mean 'uniform'"):
        NeuralNetwork(4, 3, 2, bias_initializer="unifrom")
    with pytest.raises(ValueError, match=r"shape \(4, 3\), wanted \(1, 3\)"):
        draw(architecture((4, (3,), 2)), biases=INITIALIZERS["he_normal"])


def test_an_initializer_is_given_by_name_or_as_a_function():
    named = NeuralNetwork(3, 4, 2, initializer="he_normal", seed=0)
    given = NeuralNetwork(3, 4, 2, initializer=INITIALIZERS["he_normal"], seed=0)
    usual = NeuralNetwork(3, 4, 2, seed=0)
    assert (named.weights_input_hidden == given.weights_input_hidden).all()
    assert (named.weights_input_hidden != usual.weights_input_hidden).any()
    ones = NeuralNetwork(3, 4, 2, initializer=lambda _, n_in, n_out: np.ones((n_in, n_out)))
    assert (ones.weights_hidden_output == 1.0).all()


def test_a_seed_leaves_numpys_global_state_alone_and_none_draws_from_it():
    np.random.seed(3)
    wanted = np.random.random()
    np.random.seed(3)
    NeuralNetwork(2, 3, 1, seed=5)
    assert np.random.random() == wanted
    np.random.seed(3)
    first = NeuralNetwork(2, 3, 1)
    np.random.seed(3)
    again, next_one = NeuralNetwork(2, 3, 1), NeuralNetwork(2, 3, 1)
    assert (first.weights_input_hidden == again.weights_input_hidden).all()
    assert (next_one.weights_input_hidden != again.weights_input_hidden).any()


def test_an_unseeded_run_repeats_after_numpys_seed(rng):
    X, y = rng.standard_normal((9, 2)), rng.uniform(size=(9, 1))
    losses = []
    for _ in range(2):
        np.random.seed(8)
        net = NeuralNetwork(2, 5, 1, dropout=0.5)
        losses.append(net.train(X, y, 3, batch_size=2, progress=False)["loss"])
    assert losses[0] == losses[1]


def test_flops_are_counted_from_the_sizes():
    net = architecture((784, (512, 256), 10), "relu", None, "cross_entropy")
    assert net.flops(128) == 2 * 128 * (3 * (784 * 512 + 512 * 256 + 256 * 10) - 784 * 512)


def test_hidden_sizes_are_a_number_or_a_sequence_also_of_numpys_integers():
    for hidden, inner in ((4, (4,)), ([], ()), ([4, 5], (4, 5)), (np.int32(4), (4,)), ((1, 1), (1, 1))):
        assert NeuralNetwork(np.int64(3), hidden, np.uint8(2)).architecture.sizes == (3, *inner, 2)


def test_each_hidden_layer_may_have_its_own_activation():
    net = NeuralNetwork(3, (4, 5), 2, activation=["relu", "tanh"], output_activation="softplus")
    assert [f.name for f in net.architecture.activations] == ["relu", "tanh", "softplus"]
