"""The notebook that the project starts from, with only its class swapped for ours."""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from support.data import XOR_X, XOR_Y

RATE = 0.1


class Plain:
    """The notebook's equations, evaluated as they stand, in float64."""

    def __init__(self, W1, W2):
        self.W1, self.W2 = W1.copy(), W2.copy()
        self.b1, self.b2 = np.zeros((1, W1.shape[1])), np.zeros((1, W2.shape[1]))

    @staticmethod
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def feedforward(self, X):
        self.Z1 = np.dot(X, self.W1) + self.b1
        self.A1 = self.sigmoid(self.Z1)
        self.Z2 = np.dot(self.A1, self.W2) + self.b2
        self.A2 = self.sigmoid(self.Z2)
        return self.A2

    def backward(self, X, y, learning_rate):
        output_delta = (y - self.A2) * self.A2 * (1 - self.A2)
        hidden_delta = np.dot(output_delta, self.W2.T) * self.A1 * (1 - self.A1)
        self.W2 += np.dot(self.A1.T, output_delta) * learning_rate
        self.b2 += np.sum(output_delta, axis=0, keepdims=True) * learning_rate
        self.W1 += np.dot(X.T, hidden_delta) * learning_rate
        self.b1 += np.sum(hidden_delta, axis=0, keepdims=True) * learning_rate

    def train(self, X, y, epochs, learning_rate):
        for epoch in range(epochs):
            output = self.feedforward(X)
            self.backward(X, y, learning_rate)
            if epoch % 4000 == 0:
                loss = np.mean(np.square(y - output))
                print(f"Epoch {epoch}, Loss:{loss}")


def pair(inputs=2, hidden=4, outputs=1, seed=0):
    """Return our network and the plain one, with equal weights."""
    np.random.seed(seed)
    net = NeuralNetwork(input_size=inputs, hidden_size=hidden, output_size=outputs)
    plain = Plain(net.weights_input_hidden, net.weights_hidden_output)
    return net, plain


def assert_equal_parameters(net, plain, within):
    for got, wanted in (
        (net.weights_input_hidden, plain.W1),
        (net.bias_hidden, plain.b1),
        (net.weights_hidden_output, plain.W2),
        (net.bias_output, plain.b2),
    ):
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() < within


def lines_of(text):
    """Return the epochs and the losses that were printed."""
    parts = [line.split(", Loss:") for line in text.splitlines()]
    return [epoch for epoch, _ in parts], [float(loss) for _, loss in parts]


def test_ten_thousand_epochs_of_xor_end_within_1e_9_of_the_plain_equations(capsys):
    net, plain = pair()
    net.train(XOR_X, XOR_Y, epochs=10_000, learning_rate=RATE)
    ours = lines_of(capsys.readouterr().out)
    plain.train(XOR_X, XOR_Y, epochs=10_000, learning_rate=RATE)
    theirs = lines_of(capsys.readouterr().out)
    assert_equal_parameters(net, plain, 1e-9)
    assert np.abs(net.feedforward(XOR_X) - plain.feedforward(XOR_X)).max() < 1e-9
    assert ours[0] == theirs[0] == ["Epoch 0", "Epoch 4000", "Epoch 8000"]
    assert ours[1] == pytest.approx(theirs[1], abs=1e-9)


def test_numpy_random_seed_starts_the_network_that_randn_draws():
    np.random.seed(42)
    net = NeuralNetwork(input_size=2, hidden_size=4, output_size=1)
    np.random.seed(42)
    assert (net.weights_input_hidden == np.random.randn(2, 4)).all()
    assert (net.weights_hidden_output == np.random.randn(4, 1)).all()
    assert (net.bias_hidden == np.zeros((1, 4))).all()
    assert (net.bias_output == np.zeros((1, 1))).all()


@pytest.mark.parametrize("outputs", [1, 3])
def test_backward_takes_the_notebooks_step_on_any_data(rng, outputs):
    net, plain = pair(5, 6, outputs)
    X, y = rng.standard_normal((7, 5)), rng.uniform(size=(7, outputs))
    for rate in (0.1, 1.0, 3.0):
        plain.feedforward(X)
        plain.backward(X, y, rate)
        net.feedforward(X)
        net.backward(X, y, rate)
    assert_equal_parameters(net, plain, 1e-13)


def test_feedforward_keeps_what_each_layer_made_until_training_and_returns_the_last():
    net, plain = pair()
    with pytest.raises(AttributeError, match="call feedforward"):
        _ = net.hidden_output
    returned = net.feedforward(XOR_X)
    plain.feedforward(XOR_X)
    assert net.hidden_activation == pytest.approx(plain.Z1)
    assert net.hidden_output == pytest.approx(plain.A1)
    assert net.output_activation == pytest.approx(plain.Z2)
    assert net.predicted_output == pytest.approx(plain.A2)
    assert (returned == net.predicted_output).all()
    net.train(XOR_X, XOR_Y, 1, progress=False)
    with pytest.raises(AttributeError, match="call feedforward"):
        _ = net.predicted_output


def test_integers_lists_and_booleans_train_as_floats_do():
    floats = pair()[0]
    floats.train(XOR_X.astype(float), XOR_Y.astype(float), 20, RATE, progress=False)
    for kind in (np.asarray, np.ndarray.tolist, np.float32, np.uint8, np.bool_):
        ours = pair()[0]
        ours.train(kind(XOR_X), kind(XOR_Y), 20, RATE, progress=False)
        assert (ours.weights_input_hidden == floats.weights_input_hidden).all()
        assert (ours.feedforward(kind(XOR_X)) == floats.feedforward(XOR_X)).all()


PARAMETERS = ["weights_input_hidden", "bias_hidden", "weights_hidden_output", "bias_output"]


def test_parameters_can_be_assigned_are_copied_and_can_be_added_to(rng):
    for name in PARAMETERS:
        net, _ = pair()
        wanted = {other: getattr(net, other).copy() for other in PARAMETERS}
        given = rng.standard_normal(wanted[name].shape)
        setattr(net, name, given)
        assert all((getattr(net, o) == (given if o == name else wanted[o])).all() for o in PARAMETERS)
        given[:] = 7.0
        assert not (getattr(net, name) == 7.0).any()
    net, _ = pair(2, 2, 1)
    net.weights_input_hidden = [[1, 2], [3, 4]]
    net.weights_input_hidden += 2.0
    assert net.weights_input_hidden.tolist() == [[3.0, 4.0], [5.0, 6.0]]


def test_sigmoid_and_its_derivative_are_static():
    x = np.array([-2.0, 0.0, 3.0])
    assert NeuralNetwork.sigmoid(x) == pytest.approx(1 / (1 + np.exp(-x)), rel=1e-14)
    a = NeuralNetwork.sigmoid(x)
    assert (NeuralNetwork.sigmoid_derivative(a) == a * (1 - a)).all()
    assert NeuralNetwork.sigmoid(0) == 0.5
    assert NeuralNetwork.sigmoid([[0, 0]]).tolist() == [[0.5, 0.5]]
    assert NeuralNetwork.sigmoid(np.array([0, 1])) == pytest.approx([0.5, 1 / (1 + np.exp(-1))])


def test_the_textbooks_names_mean_the_outer_layers_of_a_deeper_network(rng):
    net = NeuralNetwork(3, (5, 4), 2, seed=0)
    assert net.weights_input_hidden.shape == (3, 5)
    assert net.bias_hidden.shape == (1, 5)
    assert net.weights_hidden_output.shape == (4, 2)
    net.feedforward(rng.standard_normal((6, 3)))
    assert net.hidden_output.shape == (6, 4)
    assert net.predicted_output.shape == (6, 2)
