"""Learning rates over the epochs."""

import pytest

from chainrule import NeuralNetwork, schedules


def rates(given, epochs, steps=1):
    return [given(number + i / steps, epochs) for number in range(epochs) for i in range(steps)]


def test_constant_and_a_number_are_always_the_rate():
    assert rates(schedules.constant(0.3), 3) == rates(schedules.schedule(0.3), 3) == [0.3] * 3


def test_cosine_falls_from_the_peak_to_the_floor():
    assert rates(schedules.cosine(1.0, floor=0.2), 4) == pytest.approx([1.0, 0.8828427, 0.6, 0.3171573])
    assert schedules.cosine(1.0, floor=0.2)(4, 4) == pytest.approx(0.2)
    assert schedules.cosine(1.0, floor=0.2)(9, 4) == pytest.approx(0.2)  # and does not rise again


def test_step_falls_by_the_factor_every_so_many_epochs():
    wanted = [1] * 4 + [0.5] * 4 + [0.25] * 2
    assert rates(schedules.step(1.0, 0.5, every=2), 5, steps=2) == wanted


def test_warm_up_rises_in_a_straight_line_and_hands_over():
    assert rates(schedules.warm_up(0.8, epochs=2), 3, steps=2) == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 0.8]
    )
    then = schedules.warm_up(schedules.step(1.0, 0.5, every=2), epochs=1)
    assert rates(then, 4) == [0.0, 1.0, 0.5, 0.5]
    assert schedules.warm_up(0.8, epochs=0)(0.0, 5) == 0.8


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.step(0.1, every=0), "step: every is 0; give a finite number of 1 or more"),
        (lambda: schedules.step(0.1, every=float("inf")), "step: every is inf; give a finite number"),
        (lambda: schedules.cosine("0.1"), "cosine: peak is '0.1'; give a finite number"),
        (lambda: schedules.constant("0.1"), "learning_rate is '0.1'"),
        (lambda: schedules.warm_up(0.1, "3"), "warm_up: epochs is '3'"),
    ],
)
def test_what_is_no_number_or_out_of_range_is_refused(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_training_asks_the_schedule_at_every_step_and_records_the_first_of_each_epoch():
    asked = []

    def schedule(epoch, epochs):
        asked.append((epoch, epochs))
        return 0.1 / (1 + epoch)

    net = NeuralNetwork(1, 2, 1, seed=0)
    history = net.train(
        [[0.0], [1.0], [2.0]], [[0], [1], [0]], 2, schedule, batch_size=2, progress=False
    )
    assert asked == [(0.0, 2), (0.5, 2), (1.0, 2), (1.5, 2)]
    assert history["learning_rate"] == [0.1, 0.05]


def test_the_rate_of_each_step_is_the_one_that_moves_the_weights(backend):
    # One linear unit, x = 1, y = 0: A = w + b, and w and b both fall by rate * A.
    net = NeuralNetwork(1, (), 1, output_activation="identity", backend=backend, seed=0)
    net.weights_input_hidden, net.bias_output = [[1.0]], [[0.0]]
    X, y = [[1.0]], [[0.0]]
    net.train(X, y, 2, lambda epoch, _: 0.25 if epoch == 0 else 0.125, progress=False)
    # A = 1: w = 1 - 0.25, b = -0.25.  A = 0.5: w = 0.75 - 0.0625, b = -0.25 - 0.0625.
    assert backend.to_numpy(net.weights_input_hidden).tolist() == [[0.6875]]
    assert backend.to_numpy(net.bias_output).tolist() == [[-0.3125]]
