"""The curves of training: what is drawn is what was recorded."""

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.plots import plot_history
from chainrule.training.history import Record
from support.data import blobs

FALLING = [1 / (1 + i) for i in range(5)]


def records(losses, *, held_out=None, accuracy=None, rate=None):
    nothing = [None] * len(losses)
    columns = (losses, held_out or nothing, accuracy or nothing, rate or [0.1] * len(losses))
    return [Record(i, *row, seconds=0.1 * i) for i, row in enumerate(zip(*columns, strict=True))]


def labels(picture):
    return [panel.get_ylabel() for panel in picture.axes]


def test_only_what_there_is_has_a_panel():
    assert labels(plot_history(records(FALLING), reported="cross entropy")) == ["cross entropy"]
    everything = records(FALLING, held_out=[0.5] * 5, accuracy=[0.9] * 5, rate=FALLING)
    assert labels(plot_history(everything)) == ["loss", "validation\naccuracy", "learning rate"]


def test_the_curves_are_the_records():
    made = records(FALLING, held_out=FALLING[::-1], accuracy=[0.9] * 5, rate=[1.0, 2.0, 3.0, 4.0, 5.0])
    losses, accuracy, rate = plot_history(made).axes
    training, held_out = losses.lines
    assert list(training.get_xdata()) == [0, 1, 2, 3, 4]
    assert list(training.get_ydata()) == [record.loss for record in made]
    assert list(held_out.get_ydata()) == [record.validation_loss for record in made]
    assert list(accuracy.lines[0].get_ydata()) == [0.9] * 5
    assert list(rate.lines[0].get_ydata()) == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["training", "validation"]


@pytest.mark.parametrize(
    ("loss", "scale"),
    [([1, 0.1, 0.01], "log"), ([1, 0.9, 0.8], "linear"), ([10, 1, 0], "linear")],
)
def test_the_loss_is_on_a_log_scale_where_it_falls_far_and_stays_above_0(loss, scale):
    assert plot_history(records(loss)).axes[0].get_yscale() == scale


def test_a_learning_rate_that_never_changes_is_said_in_words():
    assert "learning rate 0.1" in plot_history(records(FALLING)).axes[-1].get_xlabel()


def test_epochs_are_whole_numbers():
    picture = plot_history(records(FALLING[:3]))
    picture.draw_without_rendering()
    ticks = picture.axes[-1].get_xticks()
    assert all(tick == round(tick) for tick in ticks)


def test_one_epoch_is_a_point_that_can_be_seen():
    (line,) = plot_history(records([0.5])).axes[0].lines
    assert line.get_marker() == "o"


def test_an_epoch_without_a_value_is_a_gap():
    made = records(FALLING[:3], held_out=[0.5, None, 0.5])
    drawn = plot_history(made).axes[0].lines[1].get_ydata()
    assert np.isnan(drawn).tolist() == [False, True, False]


def test_the_best_epoch_of_an_early_stop_is_marked_in_every_panel(rng):
    X, y = blobs(rng, 200, 2, 3)
    net = NeuralNetwork(2, 8, 3, activation="tanh", loss="cross_entropy", seed=0)
    options = {
        "validation_fraction": 0.3,
        "early_stopping": 3,
        "optimizer": "adam",
        "learning_rate": 0.1,
    }
    history = net.train(X, y, epochs=200, batch_size=32, progress=False, **options)
    assert len(history) < 200
    picture = history.plot()
    assert picture.axes[0].texts[0].get_text() == f"best weights: epoch {history.best_epoch}"
    assert [list(panel.lines[-1].get_xdata()) for panel in picture.axes] == [
        [history.best_epoch] * 2
    ] * 2


def test_no_epochs_are_refused():
    with pytest.raises(ValueError, match="the history has no epochs"):
        plot_history([])
