"""What a run shows while it goes on: the textbook's lines, plain lines, or a bar on a terminal."""

import io
import re

import pytest
from rich.console import Console

import chainrule.network
from chainrule import NeuralNetwork
from chainrule.training.display import Bar, display, summary
from chainrule.training.history import Record
from support import terminal
from support.data import XOR_X, XOR_Y


def records(epochs):
    return [Record(i, 1.0 / (i + 1), None, None, 0.1, 0.5 * i) for i in range(epochs)]


def on_terminal(width=100):
    return Console(force_terminal=True, width=width, file=io.StringIO())


def train(epochs, **given):
    return NeuralNetwork(2, 3, 1, seed=0).train(XOR_X, XOR_Y, epochs, **given)


def test_the_textbooks_line_comes_every_so_many_epochs_on_standard_output(capsys):
    train(5, print_every=2)
    captured = capsys.readouterr()
    lines = [line.partition(", Loss:") for line in captured.out.splitlines()]
    assert [line[0] for line in lines] == ["Epoch 0", "Epoch 2", "Epoch 4"]
    assert all(0 < float(line[2]) < 1 for line in lines)
    assert captured.err == ""
    for batched in ({"batch_size": 2}, {"validation_fraction": 0.5}, {}):
        train(5, **batched)  # fewer epochs than lines are apart
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("epoch 1/5  loss 0.")
    train(5, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("epochs", "shown"), [(3, 3), (205, 22)])
def test_progress_where_there_is_no_terminal_is_at_most_some_twenty_lines_on_standard_error(
    capsys, epochs, shown
):
    train(epochs, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\x1b" not in captured.err
    lines = captured.err.splitlines()
    assert len(lines) == shown
    assert lines[0].startswith(f"epoch 1/{epochs}  loss 0.")
    assert re.fullmatch(rf"epoch {epochs}/{epochs}  loss 0\.\d+  \d\.\d s", lines[-1])


@pytest.mark.parametrize("progress", [True, None])
def test_a_reader_of_the_progress_that_has_gone_does_not_stop_training(monkeypatch, progress):
    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stderr", Gone())
    monkeypatch.setattr("sys.stdout", Gone())
    assert len(train(5, progress=progress)) == 5


def test_a_line_says_what_is_known_of_an_epoch():
    assert summary(Record(0, 0.5, None, None, 0.1, 1.25)) == "loss 0.5"
    whole = summary(Record(0, 0.5, 0.25, 1.0, 0.1, 2.0))
    assert whole == "loss 0.5  validation 0.25  accuracy 100.00%"


@pytest.mark.parametrize("no_color", [False, True])
def test_a_bar_stops_where_training_stopped_and_gives_the_cursor_back(monkeypatch, no_color):
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    console = on_terminal()
    bar = Bar(1000, console)
    for record in records(13):  # all within a tenth of a second
        bar.show(record)
    bar.close()
    text = console.file.getvalue()
    assert "13/1000" in text
    assert "loss 0.07692" in text
    assert "\x1b[?25h" in text
    assert ("\x1b[3" in text) is not no_color  # a foreground colour


def test_a_bar_of_80_columns_shows_all_that_is_known(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = on_terminal(width=80)
    bar = Bar(1000, console)
    bar.show(Record(899, 0.0123456, 0.1234567, 0.9988, 0.1, 1234.5))
    bar.close()
    known = (
        r"900/1000 .* [-\d]:[-\d]{2}:[-\d]{2} loss 0.01235  validation 0.1235  accuracy 99.88%  1234 s"
    )
    assert re.search(known, console.file.getvalue())


def test_a_bar_is_redrawn_ten_times_a_second_at_the_most(monkeypatch):
    drawn = []
    bar = Bar(100_000, on_terminal())
    monkeypatch.setattr(bar, "_draw", lambda *shown: drawn.append(shown))
    now = iter(i * 0.001 for i in range(1, 100_000))
    monkeypatch.setattr("chainrule.training.display.time.monotonic", lambda: next(now))
    for record in records(1000):  # one second
        bar.show(record)
    assert 9 <= len(drawn) <= 11
    bar.close()


def test_the_bar_is_closed_when_training_fails(monkeypatch):
    bar = Bar(3, on_terminal())
    monkeypatch.setattr(chainrule.network, "display", lambda *_, **__: bar)

    def fail(_):
        msg = "mine"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="mine"):
        train(3, callbacks=[fail], progress=True)
    assert not bar._bar.live.is_started


def test_the_display_is_chosen_by_the_argument_and_the_terminal(tmp_path):
    assert type(display(None, 10, 5)).__name__ == "Lines"
    words = f"train digits --target digit --hidden 2 --epochs 7 -o {tmp_path}/m"
    text = terminal.shown(*words.split())
    assert "7/7" in text
    assert "\x1b[?25h" in text
