"""The help of every command, colour in a real terminal, and shell completion."""

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
LONG = {("bench", "recommend")}  # measures for many seconds; tested in tests/bench


def paths(command, above=()):
    """The words of every command and of every group, the whole program first."""
    yield above, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*above, name))


def test_every_help_names_its_options_and_ends_with_an_example_that_runs(tmp_path, monkeypatch):
    pytest.importorskip("polars", reason="Polars reads CSV: install the extra data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for path, command in paths(get_command(app)):
        result = CliRunner().invoke(app, [*path, "--help"], prog_name="chainrule")
        assert result.exit_code == 0, result.stderr
        assert max(map(len, result.stdout.splitlines())) <= 80
        options = [p for p in command.params if p.param_type_name == "option"]
        assert all(p.opts[0] in result.stdout for p in options)
        (example,) = re.findall(r"^ Example: (.*?)\s*$", result.stdout, re.MULTILINE)
        program, *words = shlex.split(example)
        assert (program, tuple(words[: len(path)])) == ("chainrule", path)
        if path not in LONG:
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{words}: {result.stderr}"


# -- in a terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["info"]])
def test_a_terminal_shows_colour_unless_no_color_is_set(words):
    text = shown(*words)
    assert COLOUR.search(text)
    assert max(len(STYLE.sub("", line)) for line in text.splitlines()) <= 80
    assert not COLOUR.search(shown(*words, NO_COLOR="1"))


def test_an_error_is_one_line_however_long():
    name = "a" * 100
    assert STYLE.sub("", shown("predict", name, "none.csv")) == f"error: there is no file {name}\n"


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


OFFERED = {
    "chainrule tr": {"train"},
    "chainrule train --optim": {"--optimizer"},
    "chainrule train --optimizer ad": {"adam", "adamw"},
    "chainrule train --activation ": {"sigmoid", "tanh", "relu", "gelu", "softplus", "identity"},
    "chainrule predict --backend c": {"cupy"},
}


def test_bash_completes_commands_options_and_names(shell):
    lines = ['eval "$(chainrule --show-completion)"']
    for typed in OFFERED:
        words = typed.split(" ")
        lines += [
            f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}",
            '_chainrule_completion chainrule; echo "${COMPREPLY[@]}"',
        ]
    assert [set(line.split()) for line in shell(*lines).splitlines()] == list(OFFERED.values())


def test_completion_installs_itself_in_the_home_of_its_user(shell, tmp_path):
    assert "completion installed" in shell("chainrule --install-completion")
    assert (tmp_path / "home" / ".bash_completions" / "chainrule.sh").exists()
    assert "chainrule.sh" in (tmp_path / "home" / ".bashrc").read_text()
