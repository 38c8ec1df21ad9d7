"""The loop over epochs: batches, what watches it, how it ends, and what is kept then."""

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

from chainrule import NeuralNetwork, Optimizer, schedules
from chainrule.mathematics.optimizers import adam
from support.compare import parameters, relative_error
from support.data import blobs, regression, samples


def network(loss="mean_squared_error", **given):
    return NeuralNetwork(3, 5, 1, **{"activation": "tanh", "loss": loss, "seed": 0, **given})


# -- batches -------------------------------------------------------------------------------------------


def test_minibatches_take_every_row_once_an_epoch_and_keep_the_ragged_last(rng, backend):
    # A linear network on squared_error: one step of one row moves W by -rate * error * x. With a rate
    # so small that the errors stay put, an epoch moves it as one step on all rows does.
    X, y = samples(rng, 7, 3), samples(rng, 7, 1)
    given = {"output_activation": "identity", "seed": 0, "backend": backend}
    whole, parts = (NeuralNetwork(3, (), 1, **given) for _ in range(2))
    start = parameters(whole)
    whole.train(X, y, 1, 1e-7, progress=False)
    parts.train(X, y, 1, 1e-7, batch_size=3, progress=False)
    assert relative_error(parameters(parts) - start, parameters(whole) - start) < 1e-5


def test_each_epoch_takes_the_rows_in_another_order_drawn_from_the_seed(rng):
    X, y = regression(rng)
    first, again, other = network(), network(), network(seed=1)
    other.weights_input_hidden = first.weights_input_hidden
    other.weights_hidden_output = first.weights_hidden_output
    losses = [net.train(X, y, 3, batch_size=4, progress=False)["loss"] for net in (first, again, other)]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]
    assert (parameters(first) == parameters(again)).all()


@pytest.mark.parametrize("batch_size", [None, 5, 1000])
def test_the_arrays_that_are_given_stay_as_they_are(rng, backend, batch_size):
    X, y = (backend.asarray(part, "float64") for part in regression(rng))
    before = backend.to_numpy(X).copy(), backend.to_numpy(y).copy()
    one, other = network(backend=backend), network(backend=backend)
    one.train(X, y, 3, batch_size=batch_size, progress=False)
    assert (backend.to_numpy(X) == before[0]).all()
    assert (backend.to_numpy(y) == before[1]).all()
    if batch_size == 1000:  # all rows there are
        other.train(X, y, 3, progress=False)
        assert (parameters(one) == parameters(other)).all()


@pytest.mark.parametrize("loss", ["mean_squared_error", "squared_error"])
def test_the_loss_of_an_epoch_is_the_mean_over_its_rows_ragged_batch_and_all(rng, loss):
    X, y = regression(rng, 7)
    net = network(loss=loss)
    wanted = np.mean((net.predict(X) - y) ** 2)
    history = net.train(X, y, 1, 0.0, batch_size=3, progress=False)
    assert history["loss"] == pytest.approx([wanted], rel=1e-13)
    assert net.evaluate(X, y).loss == pytest.approx(wanted, rel=1e-13)


def test_a_sample_weight_of_2_is_the_row_given_twice_and_0_leaves_it_out(backend, rng):
    X, y = regression(rng, 6)
    weights = np.array([1.0, 2.0, 0.0, 2.0, 1.0, 1.0])
    rows = np.repeat(np.arange(6), weights.astype(int))
    given = {"loss": "squared_error", "output_activation": "identity", "backend": backend}
    weighted, repeated = network(**given), network(**given)
    weighted.train(X, y, 10, 0.01, sample_weight=weights, optimizer="adam", progress=False)
    repeated.train(X[rows], y[rows], 10, 0.01, optimizer="adam", progress=False)
    assert relative_error(parameters(weighted), parameters(repeated)) < 1e-12


# -- validation ----------------------------------------------------------------------------------------


def test_validation_data_are_scored_after_each_epoch_and_not_trained_on(rng):
    X, y = blobs(rng, 40, 3, 3)
    net, blind = (NeuralNetwork(3, 5, 3, loss="cross_entropy", seed=0) for _ in range(2))
    history = net.train(X[:30], y[:30], 4, validation_data=(X[30:], y[30:]), progress=False)
    blind.train(X[:30], y[:30], 4, progress=False)
    assert (parameters(net) == parameters(blind)).all()
    last = net.evaluate(X[30:], y[30:])
    assert history["validation_loss"][-1] == last.loss
    assert history["validation_accuracy"][-1] == last.accuracy
    assert last.accuracy == (net.predict_classes(X[30:]) == y[30:]).mean()
    assert len(set(history["validation_loss"])) == 4


def test_a_validation_fraction_holds_out_so_many_rows_with_their_weights(rng):
    X, y = regression(rng, 20)
    weights = rng.uniform(1.0, 3.0, 20)
    net = network()
    history = net.train(X, y, 1, 0.0, sample_weight=weights, validation_fraction=0.25, progress=False)
    whole = np.mean(weights[:, None] * (net.predict(X) - y) ** 2)
    held, trained = history["validation_loss"][0], history["loss"][0]
    assert (5 * held + 15 * trained) / 20 == pytest.approx(whole)
    assert held != pytest.approx(trained, rel=1e-3)


def test_held_out_rows_may_have_weights(rng, backend):
    X, y = regression(rng)
    held = regression(rng)
    weights = np.repeat([1.0, 0.0], [5, 7])
    few, all_of_them, doubled = (
        np.array(network(backend=backend).train(X, y, 2, validation_data=held_out, progress=False)["validation_loss"])
        for held_out in ((held[0][:5], held[1][:5]), (*held, weights), (*held, 2 * weights))
    )  # fmt: skip
    assert relative_error(all_of_them * 12, few * 5) < 1e-12  # a weight multiplies; the divisor stays
    assert relative_error(doubled, 2 * all_of_them) < 1e-12


# -- early stopping ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "patience"), [(5, 5), (True, 10), (500, 500), (False, None)])
def test_early_stopping_ends_after_its_patience_and_restores_the_weights_of_the_best_epoch(
    rng, backend, given, patience
):
    # A wide network on few rows, validated on their opposite: it soon gets worse.
    X, y = samples(rng, 8, 3), samples(rng, 8, 1)
    held_out = -X, y[::-1]
    net = NeuralNetwork(3, 30, 1, activation="tanh", loss="mean_squared_error", seed=0, backend=backend)
    history = net.train(X, y, 40, 0.1, validation_data=held_out, early_stopping=given, progress=False)
    assert not history.interrupted
    if patience is None:
        assert (len(history), history.best_epoch) == (40, None)
        return
    best = int(np.argmin(history["validation_loss"]))
    assert history.best_epoch == best < 20
    assert len(history) == min(best + 1 + patience, 40)
    assert net.evaluate(*held_out).loss == min(history["validation_loss"])


def test_early_stopping_without_held_out_data_restores_the_weights_of_the_least_loss(rng):
    X, y = regression(rng)
    net = network()
    history = net.train(X, y, 40, schedules.warm_up(3.0, 40), early_stopping=2, progress=False)
    assert len(history) < 40  # the rate grows until training gets worse
    assert net.evaluate(X, y).loss == pytest.approx(min(history["loss"]), rel=1e-14)


def test_a_callback_that_stops_in_the_best_epoch_keeps_its_weights(rng):
    X, y = regression(rng)
    net = network()
    history = net.train(
        X, y, 50, 0.05, validation_data=(X, y), early_stopping=10, progress=False,
        callbacks=[lambda record: record.epoch == 6],
    )  # fmt: skip
    assert history["validation_loss"] == sorted(history["validation_loss"], reverse=True)
    assert history.best_epoch == 6
    assert net.evaluate(X, y).loss == history["validation_loss"][-1]


# -- callbacks -----------------------------------------------------------------------------------------


def test_callbacks_get_every_record_and_true_or_an_error_ends_training_after_the_epoch(rng, backend):
    X, y = regression(rng)
    stopped, failed, interrupted, shorter = (network(backend=backend) for _ in range(4))
    seen = []

    def raises(error):
        def at_2(record):
            if record.epoch == 2:
                raise error

        return {"callbacks": [at_2], "batch_size": 5, "progress": False}

    functions = [lambda record: record.epoch == 2, seen.append, lambda _: 1]
    history = stopped.train(X, y, 100, callbacks=functions, batch_size=5, progress=False)
    with pytest.raises(RuntimeError, match="my own mistake"):
        failed.train(X, y, 100, **raises(RuntimeError("my own mistake")))
    assert interrupted.train(X, y, 100, **raises(KeyboardInterrupt)).interrupted
    assert not shorter.train(X, y, 3, batch_size=5, progress=False).interrupted
    assert history.interrupted
    assert seen == history.records
    assert [record.epoch for record in seen] == [0, 1, 2]
    for net in (stopped, failed, interrupted):
        assert (parameters(net) == parameters(shorter)).all()


@pytest.mark.parametrize("compiled", [True, False])
def test_in_a_callback_the_network_has_the_weights_of_its_epoch_and_is_not_changed(
    backend, rng, tmp_path, compiled
):
    X, y = regression(rng)
    net, seen = network(backend=backend), []

    def look(record):
        net.feedforward(X)
        seen.append((parameters(net), net.evaluate(X, y).loss, record.validation_loss))
        for change in (
            lambda: net.train(X, y, 1, progress=False),
            lambda: net.backward(X, y),
            lambda: net.set_layer(0, b=np.zeros((1, 5))),
        ):
            for call in (change, ThreadPoolExecutor(1).submit(change).result):  # and in another thread
                with pytest.raises(RuntimeError, match=r"the network is training; .*copy.deepcopy"):
                    call()
        copy.deepcopy(net).train(X, y, 1, progress=False)

    net.train(X, y, 3, validation_data=(X, y), callbacks=[look], compile=compiled, progress=False)
    for epochs, (theta, loss, wanted) in enumerate(seen, start=1):
        shorter = network(backend=backend)
        shorter.train(X, y, epochs, compile=compiled, progress=False)
        assert (theta == parameters(shorter)).all()
        assert loss == wanted
    with pytest.raises(AttributeError, match="call feedforward"):
        _ = net.hidden_output
    net.backward(X, y)


# -- in several runs -----------------------------------------------------------------------------------


class Pair(NamedTuple):
    first: object
    second: object


def own_optimizer(record):
    """Return an optimizer whose state is a record; it checks that the state keeps its type."""

    def init(theta):
        return record(0.0 * theta, 0.0 * theta)

    def update(g, state, theta, learning_rate):
        assert type(state) is type(record(0, 0))
        v = 0.5 * state[0] + g
        return theta - learning_rate * v, record(v, state[1] + g)

    return Optimizer("own", init, update)


OWN = [own_optimizer(Pair), own_optimizer(lambda *parts: parts)]
NAMED = ["sgd", "momentum", "nesterov", "adam", "adamw"]


@pytest.mark.parametrize(
    ("optimizer", "compiled"),
    [*((name, True) for name in NAMED), *((own, compiled) for own in OWN for compiled in (True, False))],
)
def test_runs_that_resume_are_one_run(backend, rng, optimizer, compiled):
    X, y = regression(rng)
    whole, parts = (network(backend=backend) for _ in range(2))
    given = {"optimizer": optimizer, "compile": compiled, "progress": False}
    whole.train(X, y, 6, 0.05, **given)
    for epochs in (1, 2, 3):
        parts.train(X, y, epochs, 0.05, resume=True, **given)
    assert relative_error(parameters(parts), parameters(whole)) < 1e-12


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"resume": True}, {}),  # the second run does not resume
        ({"resume": True}, {"resume": True, "optimizer": adam(beta1=0.5)}),  # another optimizer
        ({"resume": True, "early_stopping": 2}, {"resume": True}),  # the state of later weights
    ],
)
def test_the_state_of_an_optimizer_is_dropped_where_it_does_not_fit(rng, first, second):
    X, y = regression(rng)
    one, other = network(), network()
    for net, again in ((one, {}), (other, {"resume": False})):
        for given in (first, second):
            net.train(X, y, 6, 0.05, **{"optimizer": "adam"} | given | again, progress=False)
    assert (parameters(one) == parameters(other)).all()


# -- divergence ----------------------------------------------------------------------------------------


def diverging(backend=None, **given):
    return network(activation="relu", backend=backend, **given)


@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_loss_that_is_no_longer_finite_ends_training_and_keeps_the_last_finite_weights(
    backend, rng, batch_size, recwarn
):
    X, y = regression(rng)
    net, shorter, seen = diverging(backend), diverging(backend), []
    with pytest.raises(FloatingPointError) as caught:
        net.train(X, y, 200, 50.0, batch_size=batch_size, callbacks=[seen.append], progress=False)
    message = str(caught.value)
    assert "\n" not in message
    for part in (f"diverged in epoch {len(seen)}:", "learning_rate (it was 50)", "clip_norm", "scale X"):
        assert part in message
    assert len(recwarn) == 0
    assert np.isfinite(parameters(net)).all()
    # The weights are those from before that epoch, which one epoch fewer comes to.
    if seen:
        shorter.train(X, y, len(seen), 50.0, batch_size=batch_size, progress=False)
    assert (parameters(shorter) == parameters(net)).all()


def test_an_advice_that_is_taken_already_is_not_given(rng):
    net = diverging(clip_norm=1.0)
    with pytest.raises(FloatingPointError) as caught:
        net.train(*regression(rng), 1000, 1e200, progress=False)
    assert "clip_norm" not in str(caught.value)


@pytest.mark.parametrize("more", [{}, {"early_stopping": 1}, {"validation_data": ([[1.0]], [[1.0]])}])
@pytest.mark.parametrize(
    ("scale", "y", "rate", "why"),
    [
        # The loss of an epoch is that before its update: the last update has no loss after it.
        (1e5, 1.0, 1e305, "its update overflowed"),
        # The error 1e160 is finite and so is its slope, but its square is not.
        (1.0, 1e160, 0.1, "the loss became inf"),
    ],
)
def test_an_update_that_breaks_the_weights_in_the_last_epoch_is_divergence_too(
    scale, y, rate, why, more
):
    net = NeuralNetwork(1, (), 1, loss="squared_error", output_activation="identity", seed=0)
    start = parameters(net)
    if more:
        more = {"early_stopping": 3} | more
    with pytest.raises(FloatingPointError, match=f"epoch 0: {why}"):
        net.train([[scale]], [[y]], 1, rate, progress=False, **more)
    assert (parameters(net) == start).all()


# -- clipping, decay, learning -------------------------------------------------------------------------


def test_a_gradient_longer_than_clip_norm_is_scaled_to_it_and_a_shorter_one_left_alone(rng, backend):
    X, y = regression(rng)
    free, clipped, loose = (network(clip_norm=norm, backend=backend) for norm in (None, 0.01, 1e3))
    start = parameters(free)
    for net in (free, clipped, loose):
        net.train(X, y, 1, 1.0, progress=False)
    whole, short = parameters(free) - start, parameters(clipped) - start
    assert np.linalg.norm(whole) > 0.1
    assert np.linalg.norm(short) == pytest.approx(0.01, rel=1e-9)
    assert relative_error(short * np.linalg.norm(whole) / 0.01, whole) < 1e-9
    assert relative_error(parameters(loose), parameters(free)) < 1e-15


def test_a_gradient_of_zero_is_clipped_to_zero():
    net = NeuralNetwork(1, (), 1, output_activation="identity", clip_norm=1.0, seed=0)
    net.weights_input_hidden = [[1.0]]
    net.train([[1.0]], [[1.0]], 1, progress=False)
    assert net.weights_input_hidden == 1.0


def test_weight_decay_shrinks_weights_by_rate_times_lambda_and_leaves_biases(rng):
    net = NeuralNetwork(2, (), 1, output_activation="identity", weight_decay=0.5, seed=0)
    net.weights_input_hidden, net.bias_output = [[1.0], [-2.0]], [[3.0]]
    net.train([[0.0, 0.0]], [[3.0]], 1, 0.1, progress=False)  # no error, no gradient of the data
    assert net.weights_input_hidden.ravel().tolist() == [0.95, -1.9]
    assert net.bias_output == 3.0
