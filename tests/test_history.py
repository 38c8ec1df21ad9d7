"""The history: columns, a table, a picture."""

import builtins

import pytest

from chainrule.history import History, Record


def history(epochs, *, validated=False, scored=False):
    made = History("cross entropy")
    for i in range(epochs):
        held_out = 0.5 / (i + 1) if validated else None
        accuracy = 0.5 + i / 1000 if scored else None
        made.records.append(Record(i, 1.0 / (i + 1), held_out, accuracy, 0.1, 0.25 * i))
    return made


def test_columns_are_read_by_name_and_records_by_iteration():
    made = history(3, validated=True)
    assert made["loss"] == [1.0, 0.5, 1 / 3]
    assert made["validation_loss"] == [0.5, 0.25, 0.5 / 3]
    assert made["seconds"] == [0.0, 0.25, 0.5]
    assert [record.epoch for record in made] == [0, 1, 2]
    assert len(made) == 3


def test_an_unknown_column_is_refused_with_the_known_ones():
    with pytest.raises(KeyError, match=r"no column 'lost' \(known: epoch, loss, validation_loss"):
        history(1)["lost"]


def test_the_table_has_the_columns_that_hold_something():
    assert str(history(2)).splitlines() == [
        "  epoch          loss   seconds",
        "      0             1      0.00",
        "      1           0.5      0.25",
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
    assert str(history(0)).split() == ["epoch", "loss", "seconds"]


def test_plot_without_matplotlib_says_what_to_install(monkeypatch):
    usual = builtins.__import__

    def missing(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return usual(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match=r"pip install 'chainrule\[plots\]'"):
        history(3).plot()


class Axes:
    """Takes the place of matplotlib's axes, and of matplotlib where it is absent."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *args, **kwargs: self.calls.append((name, args, kwargs))


def test_plot_draws_both_losses_and_the_best_epoch(monkeypatch):
    import sys
    import types

    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["matplotlib"].pyplot = sys.modules["matplotlib.pyplot"]
    made, axes = history(3, validated=True), Axes()
    made.best_epoch = 1
    assert made.plot(axes) is axes
    lines = [args for name, args, _ in axes.calls if name == "plot"]
    assert [line[:2] for line in lines] == [
        ([0, 1, 2], made["loss"]),
        ([0, 1, 2], made["validation_loss"]),
    ]
    called = {name for name, _, _ in axes.calls}
    assert called == {"plot", "legend", "axvline", "set_yscale", "set"}
