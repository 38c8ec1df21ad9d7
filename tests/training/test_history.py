"""The history: columns, a table, a picture."""

import sys

import pytest

from chainrule.training.history import History


def history(epochs, *, validated=False, scored=False):
    made = History("cross entropy")
    for i in range(epochs):
        held_out = 0.5 / (i + 1) if validated else None
        accuracy = 0.5 + i / 1000 if scored else None
        made.add([1.0 / (i + 1)], [0.1], 0.25 * i, (held_out, accuracy) if validated else None)
    return made


def test_columns_are_read_by_name_and_records_by_iteration():
    made = history(3, validated=True)
    assert made["loss"] == [1.0, 0.5, 1 / 3]
    assert made["validation_loss"] == [0.5, 0.25, 0.5 / 3]
    assert [record.epoch for record in made] == [0, 1, 2]
    assert len(made) == 3
    with pytest.raises(KeyError, match=r"no column 'lost' \(known: epoch, loss, validation_loss"):
        made["lost"]


def test_the_table_has_the_columns_that_hold_something():
    assert str(history(1)).splitlines() == [
        "  epoch          loss   seconds",
        "      0             1      0.00",
    ]
    assert str(history(2, validated=True, scored=True)).splitlines() == [
        "  epoch          loss    validation  accuracy   seconds",
        "      0             1           0.5    50.00%      0.00",
        "      1           0.5          0.25    50.10%      0.25",
    ]


@pytest.mark.parametrize(("epochs", "lines"), [(1, 1), (20, 20), (21, 20), (10_000, 20)])
def test_the_table_has_twenty_epochs_at_the_most_the_first_and_the_last_among_them(epochs, lines):
    rows = str(history(epochs)).splitlines()[1:]
    assert len(rows) == lines
    assert rows[0].split()[0] == "0"
    assert rows[-1].split()[0] == str(epochs - 1)


def test_the_short_form_says_how_far_it_came():
    assert repr(history(3)) == "History(3 epochs, last cross entropy 0.333333)"
    assert repr(history(0)) == "History(no epochs)"
    assert str(history(0)).split()[:2] == ["epoch", "loss"]


def test_a_frame_has_a_row_an_epoch_and_needs_polars(monkeypatch):
    pytest.importorskip("polars", reason="Polars makes frames: install the extra data")
    frame = history(2, validated=True).to_frame()
    assert frame.rows() == [(0, 1.0, 0.5, None, 0.1, 0.0), (1, 0.5, 0.25, None, 0.1, 0.25)]
    assert frame.columns[:3] == ["epoch", "loss", "validation_loss"]
    monkeypatch.setitem(sys.modules, "polars", None)
    message = r"to_frame needs Polars, which is not installed; pip install '\.\[data\]'"
    with pytest.raises(ImportError, match=message):
        history(2).to_frame()


def test_plot_without_matplotlib_says_what_to_install(without_matplotlib):
    with pytest.raises(ImportError, match=r"pip install '\.\[plots\]'"):
        history(3).plot()


def test_plot_draws_what_was_recorded_and_into_axes_that_are_given():
    from matplotlib.figure import Figure

    made, axes = history(3, validated=True), Figure().subplots()
    made.best_epoch = 1
    losses = made.plot().axes[0]
    assert losses.get_ylabel() == "cross entropy"
    drawn = [list(line.get_ydata()) for line in losses.lines[:2]]
    assert drawn == [made["loss"], made["validation_loss"]]
    assert [text.get_text() for text in losses.texts] == ["best weights: epoch 1"]
    assert made.plot(axes) is axes
    assert len(axes.lines) >= 2
