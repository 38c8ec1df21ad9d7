"""The help of every command, its colours, and what the shell completes."""

import os
import re
import shlex
import stat
import subprocess

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from chainrule.cli.app import app
from support.terminal import COMMAND, shown

COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38)[0-9;]*m")
STYLE = re.compile(r"\x1b\[[0-9;]*m")


def paths(command, above=()):
    """The words of every command and of every group, the whole program first."""
    yield above
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*above, name))


PATHS = list(paths(get_command(app)))


# They measure for many seconds; the session `gate` runs the one, tests of their own the others.
LONG = {("bench", "recommend")}


def help_of(path, monkeypatch, columns=80):
    monkeypatch.setenv("COLUMNS", str(columns))
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="chainrule")
    assert result.exit_code == 0, result.stderr
    return result.stdout


def example_in(text):
    lines = [line for line in text.splitlines() if line.startswith("Example: ")]
    assert len(lines) == 1, text
    return lines[0].removeprefix("Example: ")


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_fits_a_screen_and_ends_with_an_example(path, monkeypatch):
    lines = help_of(path, monkeypatch).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[-1].startswith(" ".join(["Example: chainrule", *path]))


@pytest.mark.parametrize("columns", [40, 60, 200])
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_keeps_to_a_narrower_terminal_and_does_not_spread_over_a_wider_one(
    path, columns, monkeypatch
):
    *lines, _ = help_of(path, monkeypatch, columns).splitlines()  # an example is not broken
    assert max(map(len, lines)) <= min(columns, 80)


def test_the_example_of_every_help_runs_as_it_stands(tmp_path, monkeypatch):
    pytest.importorskip("polars", reason="Polars reads CSV: install the extra data")
    monkeypatch.chdir(tmp_path)
    for path in PATHS:
        program, *words = shlex.split(example_in(help_of(path, monkeypatch)))
        assert program == "chainrule"
        if path in LONG:
            parsed(words)
            continue
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{words}: {result.stderr}"


def parsed(words):
    """Have the words read as a command line, without running the command."""
    command = get_command(app)
    while hasattr(command, "commands"):
        name, *words = words
        command = command.commands[name]
    assert command.make_context(command.name, words).params


def test_every_option_is_shown_with_what_it_is_for_and_its_default(monkeypatch):
    text = help_of(("train",), monkeypatch)
    assert "Usage: chainrule train DATA --target COLUMN -o FILE [OPTIONS]" in text
    command = get_command(app).commands["train"]
    for parameter in command.params:
        for name in parameter.opts if parameter.param_type_name == "option" else []:
            assert re.search(rf"^  .*{name}\b", text, re.MULTILINE), name
    for words in ("--hidden N ...", "[128]", "[adam]", "[float32]", "[by the target]"):
        assert words in text


# -- colour --------------------------------------------------------------------------------------


def test_on_a_terminal_help_is_set_in_bold_and_not_wider_than_it():
    text = shown("train", "--help")
    assert "\x1b[1m--target COLUMN" in text
    assert max(len(STYLE.sub("", line)) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("words", [["--help"], ["predict", "none", "none.csv"], ["info"]])
def test_no_color_leaves_no_colour_on_a_terminal(words):
    assert not COLOUR.search(shown(*words, NO_COLOR="1"))


def test_an_error_is_red_on_a_terminal_and_one_line_however_long():
    name = "a" * 100
    text = shown("predict", name, "none.csv")
    assert COLOUR.search(text)
    assert STYLE.sub("", text) == f"error: there is no file {name}\n"


# -- completion ----------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path):
    """Run lines in bash, where ``chainrule`` is a command and home is an empty folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "chainrule"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    home = tmp_path / "home"
    home.mkdir()
    settings = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(home), "SHELL": "/bin/bash"}
    inherited = {k: v for k, v in os.environ.items() if k in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(*lines):
        script = "\n".join([*lines, "true"])  # so that bash stays, and is found to be the shell
        command = ["bash", "--norc", "-c", script]
        done = subprocess.run(
            command, env=inherited | settings, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("chainrule tr", {"train"}),
        ("chainrule train --optim", {"--optimizer"}),
        ("chainrule train --optimizer ad", {"adam", "adamw"}),
        ("chainrule train --activation ", {"sigmoid", "tanh", "relu", "gelu", "softplus", "identity"}),
        ("chainrule predict --backend c", {"cupy"}),
    ],
)
def test_bash_completes_commands_options_and_names(shell, words, offered):
    typed = words.split(" ")
    out = shell(
        'eval "$(chainrule --show-completion)"',
        f"COMP_WORDS=({' '.join(shlex.quote(word) for word in typed)}); COMP_CWORD={len(typed) - 1}",
        "_chainrule_completion chainrule",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    )
    assert set(out.split()) == offered


def test_completion_installs_itself_in_the_home_of_its_user(shell, tmp_path):
    assert "completion installed" in shell("chainrule --install-completion")
    assert (tmp_path / "home" / ".bash_completions" / "chainrule.sh").exists()
    assert "chainrule.sh" in (tmp_path / "home" / ".bashrc").read_text()
