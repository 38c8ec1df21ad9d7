"""What a trained network says: predictions, classes, scores."""

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends import Backend
from chainrule.backends.numpy import NumpyBackend
from chainrule.program import forward_pass
from chainrule.training import evaluation
from support.compare import relative_error
from support.data import blobs, samples
from support.readonly import ReadOnlyBackend


def test_predict_gives_probabilities_where_feedforward_gives_logits(rng, backend):
    X = samples(rng, 9, 4)
    for loss, classes in (("cross_entropy", 3), ("binary_cross_entropy", 1)):
        net = NeuralNetwork(4, 5, classes, loss=loss, backend=backend, seed=0)
        Z, P = backend.to_numpy(net.feedforward(X)), backend.to_numpy(net.predict(X))
        if classes == 1:
            wanted = 1 / (1 + np.exp(-Z))
        else:
            wanted = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
        assert relative_error(P, wanted) < 1e-14
        assert not np.allclose(P, Z)


def test_predict_gives_the_outputs_where_there_are_no_logits_and_changes_nothing(rng):
    net = NeuralNetwork(4, 5, 2, activation="tanh", output_activation="tanh", seed=0)
    X = samples(rng, 9, 4)
    kept = net.feedforward(X)
    assert (net.predict(X) == kept).all()
    assert net.predicted_output is kept


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
@pytest.mark.parametrize("seconds", [np.inf, 0.0], ids=["as written", "planned"])
def test_a_small_probability_keeps_its_digits(monkeypatch, backend, loss, seconds):
    if seconds == 0.0 and type(backend) is ReadOnlyBackend:
        pytest.skip("a plan writes into its buffers")
    # Native code where there is some.
    monkeypatch.setattr("chainrule.backends.numpy.LONG_SECONDS", seconds)
    monkeypatch.setattr(forward_pass, "SHARED_SECONDS", seconds)
    monkeypatch.setattr(forward_pass, "PLANNED_SECONDS", seconds)
    net = NeuralNetwork(1, (), 1, loss=loss, dtype="float32", backend=backend, seed=0)
    net.set_layer(0, W=[[1.0]], b=[[0.0]])
    Z = np.linspace(-85.0, 20.0, 8192, dtype=np.float32)[:, None]
    P = backend.to_numpy(net.predict(Z))
    assert P.dtype == np.float32
    np.testing.assert_allclose(P, 1 / (1 + np.exp(-Z.astype(np.float64))), rtol=3e-7)


def test_classes_are_the_likeliest_and_yes_or_no_is_at_a_half(rng, backend):
    X = samples(rng, 20, 4)
    many = NeuralNetwork(4, 5, 3, loss="cross_entropy", backend=backend, seed=0)
    said = backend.to_numpy(many.predict_classes(X))
    assert said.dtype.kind == "i"
    assert (said == backend.to_numpy(many.predict(X)).argmax(axis=1)).all()
    two = NeuralNetwork(4, 5, 1, loss="binary_cross_entropy", backend=backend, seed=0)
    said = backend.to_numpy(two.predict_classes(X))
    assert said.shape == (20,)
    assert (said == (backend.to_numpy(two.predict(X))[:, 0] > 0.5)).all()
    assert set(said.tolist()) == {0, 1}


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 20])
def test_many_rows_go_through_in_blocks_and_come_out_the_same(monkeypatch, rng, backend, rows):
    net, X = NeuralNetwork(3, 4, 2, backend=backend, seed=0), samples(rng, rows, 3)
    whole = backend.to_numpy(net.predict(X))
    seen = []
    usual = evaluation.forward

    def noted(theta, X, net):
        seen.append(X.shape[0])
        return usual(theta, X, net)

    monkeypatch.setattr(evaluation, "forward", noted)
    monkeypatch.setattr(backends.base, "BLOCK", 4)
    monkeypatch.setattr(NumpyBackend, "predict", Backend.predict)  # its own way has a test of its own
    assert relative_error(backend.to_numpy(net.predict(X)), whole) < 1e-14
    assert max(seen, default=0) <= 4
    if backend.name == "jax":  # it goes through Python once for each size of block, to be compiled
        assert sorted(seen) == sorted(set(seen))
    else:
        assert sum(seen) == rows


def test_scores_are_counted_as_a_person_would(rng, backend):
    X, y = blobs(rng, 25, 4, 3)
    net = NeuralNetwork(4, 5, 3, loss="cross_entropy", backend=backend, seed=0)
    P = backend.to_numpy(net.predict(X))
    score = net.evaluate(X, y)
    assert score.accuracy == pytest.approx((P.argmax(axis=1) == y).mean())
    assert score.loss == pytest.approx(-np.log(P[np.arange(25), y]).mean())
    one_hot = net.evaluate(X, np.eye(3)[y])
    assert one_hot == pytest.approx(score)


def test_accuracy_of_yes_or_no_counts_each_output_and_values_have_none(rng):
    X, Y = samples(rng, 30, 4), rng.integers(0, 2, (30, 2))
    net = NeuralNetwork(4, 5, 2, loss="binary_cross_entropy", seed=0)
    assert net.evaluate(X, Y).accuracy == ((net.predict(X) > 0.5) == Y).mean()
    net = NeuralNetwork(4, 5, 2, output_activation="identity", seed=0)
    loss = pytest.approx(np.mean((net.predict(X) - Y) ** 2))
    assert net.evaluate(X, Y) == (loss, None)
