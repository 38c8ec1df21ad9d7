"""One step of a 2-2-1 network with every number worked out by hand.

All numbers are sums of powers of two, so that even float32 holds them exactly: the comparisons are ==.
"""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.optimizers import sgd
from chainrule.mathematics.step import Batch, Progress, data_gradient, forward, step

W1 = np.array([[2.0, -4.0], [-1.0, 2.0]])  # from x1 to h1, h2; from x2 to h1, h2
b1 = np.array([[0.0, 0.0]])
W2 = np.array([[1.0], [-3.0]])  # from h1, from h2
b2 = np.array([[1.0]])

X = np.array([[1.0, 2.0], [3.0, 6.0]])
Y = np.array([[1.0], [0.25]])
LEARNING_RATE = 0.5

# Forward, first sample:  Z1 = (1*2 + 2*(-1), 1*(-4) + 2*2)  = (0, 0)
#          second sample: Z1 = (3*2 + 6*(-1), 3*(-4) + 6*2)  = (0, 0)
Z1 = [[0.0, 0.0], [0.0, 0.0]]
# sigmoid(0) = 0.5
A1 = [[0.5, 0.5], [0.5, 0.5]]
# Z2 = 0.5*1 + 0.5*(-3) + 1 = 0 for both, and so A2 = 0.5.
Z2 = [[0.0], [0.0]]
A2 = [[0.5], [0.5]]
# L = ((0.5 - 1)² + (0.5 - 0.25)²) / 2 = (0.25 + 0.0625) / 2
L = 0.15625

# Backward. dL_dA2 = A2 - Y = (-0.5, 0.25);  dA2_dZ2 = A2 (1 - A2) = 0.25
# dL_dZ2 = (-0.5*0.25, 0.25*0.25) = (-0.125, 0.0625)
# dL_dW2 = A1.T @ dL_dZ2: each 0.5*(-0.125) + 0.5*0.0625 = -0.03125
DL_DW2 = [[-0.03125], [-0.03125]]
# dL_db2 = -0.125 + 0.0625
DL_DB2 = [[-0.0625]]
# dL_dA1 = dL_dZ2 @ W2.T = (-0.125, 0.375), (0.0625, -0.1875);  dA1_dZ1 = 0.25
# dL_dZ1 = (-0.03125, 0.09375), (0.015625, -0.046875)
# dL_dW1 = X.T @ dL_dZ1:
#   from x1: 1*(-0.03125) + 3*0.015625 = 0.015625    1*0.09375 + 3*(-0.046875) = -0.046875
#   from x2: 2*(-0.03125) + 6*0.015625 = 0.03125     2*0.09375 + 6*(-0.046875) = -0.09375
DL_DW1 = [[0.015625, -0.046875], [0.03125, -0.09375]]
# dL_db1 = (-0.03125 + 0.015625, 0.09375 - 0.046875)
DL_DB1 = [[-0.015625, 0.046875]]

# Update: parameter - 0.5 * gradient
NEW_W2 = [[1.015625], [-2.984375]]
NEW_B2 = [[1.03125]]
NEW_W1 = [[1.9921875, -3.9765625], [-1.015625, 2.046875]]
NEW_B1 = [[0.0078125, -0.0234375]]

# Forward again, to the last digit that a worked example needs:
#   h1: Z1 = 1.9921875 + 2*(-1.015625) + 0.0078125 = -0.03125      (first sample)
#   h2: Z1 = -3.9765625 + 2*2.046875 - 0.0234375 = 0.09375
AFTER_Z1 = [-0.03125, 0.09375]


def start(backend):
    net = architecture((2, 2, 1))
    theta = net.layout.join([Dense(W1, b1), Dense(W2, b2)])
    return net, backend.asarray(theta), Batch(backend.asarray(X), backend.asarray(Y))


def test_forward_and_backward_leave_the_worked_numbers(backend):
    net, theta, batch = start(backend)
    passed = forward(theta, batch.X, net)
    hidden, output = passed.caches
    for got, wanted in ((hidden.Z, Z1), (hidden.A, A1), (output.Z, Z2), (output.A, A2), (passed.A, A2)):
        assert backend.to_numpy(got).tolist() == wanted
    loss, g = data_gradient(theta, batch, net)
    assert float(backend.to_numpy(loss)) == L
    first, second = net.layout.split(backend.to_numpy(g))
    assert [part.tolist() for part in (*first, *second)] == [DL_DW1, DL_DB1, DL_DW2, DL_DB2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_step_ends_at_the_worked_numbers(backend, dtype):
    net, theta, batch = start(backend)
    theta = backend.asarray(theta, dtype)
    batch = Batch(backend.asarray(X, dtype), backend.asarray(Y, dtype))
    end, loss = step(Progress(theta, ()), batch, backend.asarray(LEARNING_RATE, dtype), None, net, sgd())
    first, second = net.layout.split(backend.to_numpy(end.theta))
    assert float(backend.to_numpy(loss)) == L
    assert [part.tolist() for part in (*first, *second)] == [NEW_W1, NEW_B1, NEW_W2, NEW_B2]


@pytest.mark.parametrize("verb", ["train", "backward"])
def test_network_learns_the_worked_numbers(backend, verb):
    net = NeuralNetwork(2, 2, 1, backend=backend)
    net.weights_input_hidden, net.bias_hidden = W1, b1
    net.weights_hidden_output, net.bias_output = W2, b2
    if verb == "train":
        history = net.train(X, Y, epochs=1, learning_rate=LEARNING_RATE, progress=False)
        assert history["loss"] == [2 * L / 2]  # reported: the mean of the squared errors
    else:
        net.feedforward(X)
        net.backward(X, Y, LEARNING_RATE)
    got = (net.weights_input_hidden, net.bias_hidden, net.weights_hidden_output, net.bias_output)
    assert [backend.to_numpy(part).tolist() for part in got] == [NEW_W1, NEW_B1, NEW_W2, NEW_B2]
    net.feedforward(X)
    assert backend.to_numpy(net.hidden_activation)[0].tolist() == AFTER_Z1
