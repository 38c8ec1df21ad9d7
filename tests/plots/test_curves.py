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


def test_only_what_there_is_has_a_panel_and_the_curves_are_the_records():
    (alone,) = plot_history(records(FALLING), reported="cross entropy").axes
    assert alone.get_ylabel() == "cross entropy"
    assert "learning rate 0.1" in alone.get_xlabel()
    rates = [1.0, 2.0, 3.0, 4.0, 5.0]
    made = records(FALLING, held_out=[0.5, None, 0.3, 0.2, 0.1], accuracy=[0.9] * 5, rate=rates)
    panels = plot_history(made).axes
    assert [panel.get_ylabel() for panel in panels] == ["loss", "validation\naccuracy", "learning rate"]
    losses, accuracy, rate = panels
    training, held_out = losses.lines
    assert list(training.get_xdata()) == [0, 1, 2, 3, 4]
    assert list(training.get_ydata()) == FALLING
    gap = np.array([0.5, np.nan, 0.3, 0.2, 0.1])
    assert held_out.get_ydata() == pytest.approx(gap, nan_ok=True)
    assert list(accuracy.lines[0].get_ydata()) == [0.9] * 5
    assert list(rate.lines[0].get_ydata()) == rates
    assert [text.get_text() for text in losses.get_legend().get_texts()] == ["training", "validation"]


@pytest.mark.parametrize(
    ("loss", "scale"),
    [([1, 0.1, 0.01], "log"), ([1, 0.9, 0.8], "linear"), ([10, 1, 0], "linear")],
)
def test_the_loss_is_on_a_log_scale_where_it_falls_far_and_stays_above_0(loss, scale):
    assert plot_history(records(loss)).axes[0].get_yscale() == scale


def test_epochs_are_whole_numbers_and_a_single_one_is_a_point():
    picture = plot_history(records(FALLING[:3]))
    picture.draw_without_rendering()
    assert all(tick == round(tick) for tick in picture.axes[-1].get_xticks())
    (line,) = plot_history(records([0.5])).axes[0].lines
    assert line.get_marker() == "o"
    with pytest.raises(ValueError, match="the history has no epochs"):
        plot_history([])


def test_the_best_epoch_of_an_early_stop_is_marked_in_every_panel(rng):
    X, y = blobs(rng, 200, 2, 3)
    net = NeuralNetwork(2, 8, 3, activation="tanh", loss="cross_entropy", seed=0)
    options = {"validation_fraction": 0.3, "early_stopping": 3, "batch_size": 32, "progress": False}
    history = net.train(X, y, epochs=200, optimizer="adam", learning_rate=0.1, **options)
    assert len(history) < 200
    loss, accuracy = history.plot().axes
    assert loss.texts[0].get_text() == f"best weights: epoch {history.best_epoch}"
    for panel in (loss, accuracy):
        assert list(panel.lines[-1].get_xdata()) == [history.best_epoch] * 2
