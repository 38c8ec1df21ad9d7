"""What a run shows while it goes on: the textbook's lines, plain lines, or a bar on a terminal."""

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console

from chainrule import NeuralNetwork
from chainrule.training.display import Bar, Lines, display, summary
from chainrule.training.history import Record
from support.data import XOR_X, XOR_Y, samples


def records(epochs):
    return [Record(i, 1.0 / (i + 1), None, None, 0.1, 0.5 * i) for i in range(epochs)]


def shown(what, epochs):
    for record in records(epochs):
        what.show(record)
    what.close()


def on_terminal(**given):
    return Console(force_terminal=True, width=100, file=io.StringIO(), **given)


def test_the_textbooks_line_comes_every_so_many_epochs_on_standard_output(capsys):
    NeuralNetwork(2, 3, 1, seed=0).train(XOR_X, XOR_Y, 5, print_every=2)
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert [line.partition(", Loss:")[0] for line in lines] == ["Epoch 0", "Epoch 2", "Epoch 4"]
    assert all(0 < float(line.partition(", Loss:")[2]) < 1 for line in lines)
    assert captured.err == ""


def test_progress_false_shows_nothing(capsys):
    NeuralNetwork(2, 3, 1, seed=0).train(XOR_X, XOR_Y, 5, progress=False)
    assert capsys.readouterr() == ("", "")


def test_progress_where_there_is_no_terminal_is_some_twenty_plain_lines_on_standard_error(capsys):
    NeuralNetwork(2, 3, 1, seed=0).train(XOR_X, XOR_Y, 205, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "\x1b" not in captured.err
    lines = captured.err.splitlines()
    assert 20 <= len(lines) <= 23
    assert lines[0].startswith("epoch 1/205  loss 0.")
    assert lines[-1].startswith("epoch 205/205  loss 0.")


@pytest.mark.parametrize("progress", [True, None])
def test_a_reader_of_the_progress_that_has_gone_does_not_stop_training(monkeypatch, progress):
    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("sys.stderr", Gone())
    monkeypatch.setattr("sys.stdout", Gone())
    history = NeuralNetwork(2, 3, 1, seed=0).train(XOR_X, XOR_Y, 5, progress=progress)
    assert len(history.records) == 5


def test_short_runs_show_every_epoch(capsys):
    shown(Lines(3), 3)
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["1/3", "2/3", "3/3"]


def test_a_line_says_what_is_known_of_an_epoch():
    assert summary(Record(0, 0.5, None, None, 0.1, 1.25)) == "loss 0.5  1.2 s"
    assert summary(Record(0, 0.5, 0.25, None, 0.1, 2.0)) == "loss 0.5  validation 0.25  2.0 s"
    assert (
        summary(Record(0, 0.5, 0.25, 1.0, 0.1, 2.0))
        == "loss 0.5  validation 0.25  accuracy 100.00%  2.0 s"
    )


def test_a_terminal_gets_a_bar_that_ends_full():
    console = on_terminal()
    shown(Bar(7, console), 7)
    text = console.file.getvalue()
    assert "\x1b[" in text
    assert "7/7" in text
    assert "loss 0.1429" in text
    assert text.rstrip().endswith("\x1b[?25h") or "\x1b[?25h" in text  # the cursor is given back


def test_a_bar_stops_where_training_stopped():
    console = on_terminal()
    bar = Bar(1000, console)
    for record in records(13):  # all within a tenth of a second
        bar.show(record)
    bar.close()
    assert "13/1000" in console.file.getvalue()


def test_a_bar_is_redrawn_ten_times_a_second_at_the_most(monkeypatch):
    drawn = []
    bar = Bar(100_000, on_terminal())
    monkeypatch.setattr(bar, "_draw", drawn.append)
    now = iter(i * 0.001 for i in range(1, 100_000))
    monkeypatch.setattr("chainrule.training.display.time.monotonic", lambda: next(now))
    for record in records(1000):  # one second
        bar.show(record)
    assert 9 <= len(drawn) <= 11
    bar.close()


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    console = on_terminal()
    shown(Bar(3, console), 3)
    assert "\x1b[3" not in console.file.getvalue()  # no foreground colour


def test_the_bar_is_closed_when_training_fails(monkeypatch, rng):
    import chainrule.network

    console, bars = on_terminal(), []
    monkeypatch.setattr(
        chainrule.network,
        "display",
        lambda _progress, epochs, _every: bars.append(Bar(epochs, console)) or bars[0],
    )

    def fail(_):
        msg = "mine"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="mine"):
        NeuralNetwork(2, 3, 1).train(
            samples(rng, 4, 2), samples(rng, 4, 1), 3, callbacks=[fail], progress=True
        )
    assert bars[0]._bar.finished or not bars[0]._bar.live.is_started


def test_the_display_is_chosen_by_the_argument_and_the_terminal():
    assert type(display(None, 10, 5)).__name__ == "Textbook"
    assert type(display(False, 10, 5)).__name__ == "Display"
    assert type(display(True, 10, 5)).__name__ == "Lines"  # pytest's stderr is no terminal


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_on_a_real_terminal_training_shows_a_bar():
    import pty

    code = (
        "from chainrule import NeuralNetwork;"
        "NeuralNetwork(2, 3, 1, seed=0).train([[0, 1]], [[1]], 50, progress=True)"
    )
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=theirs, stdout=subprocess.PIPE, env=environment, check=True
    )
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    os.close(ours)
    assert done.stdout == b""
    assert b"50/50" in text
    assert b"\x1b[?25h" in text


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other end is closed
        return b""
