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
from chainrule.mathematics.activations import ACTIVATIONS
from support.terminal import COMMAND, shown

COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7]|38)[0-9;]*m")
STYLE = re.compile(r"\x1b\[[0-9;]*m")
ELSEWHERE = {("bench", "recommend"), ("bench", "scale"), ("demo",), ("export",)}  # in tests of their own


def paths(command, above=()):
    """The words of every command and of every group, the whole program first."""
    yield above, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, (*above, name))


def test_every_help_names_its_options_and_ends_with_an_example_that_runs(tmp_path, monkeypatch):
    pytest.importorskip("polars", reason="Polars reads CSV: install the extra data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    whole = CliRunner().invoke(app, [], prog_name="chainrule").stdout
    assert all(f" {name} " in whole for name in get_command(app).commands)
    for path, command in paths(get_command(app)):
        result = CliRunner().invoke(app, [*path, "--help"], prog_name="chainrule")
        assert result.exit_code == 0, result.stderr
        assert max(map(len, result.stdout.splitlines())) <= 80
        assert CliRunner().invoke(app, [*path, "-h"], prog_name="chainrule").stdout == result.stdout
        options = [p for p in command.params if p.param_type_name == "option"]
        assert all(p.opts[0] in result.stdout for p in options)
        (example,) = re.findall(r"^ Example: (.*?)\s*$", result.stdout, re.MULTILINE)
        program, *words = shlex.split(example)
        assert (program, tuple(words[: len(path)])) == ("chainrule", path)
        if path not in ELSEWHERE:
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{words}: {result.stderr}"


# -- in a terminal -------------------------------------------------------------------------------


def test_a_terminal_shows_colour_unless_no_color_is_set_and_an_error_on_one_line():
    name = "a" * 100
    text, plain = shown("predict", name, "none.csv"), shown("predict", name, "none.csv", NO_COLOR="1")
    assert COLOUR.search(text)
    assert not COLOUR.search(plain)
    assert STYLE.sub("", text) == STYLE.sub("", plain) == f"error: there is no file {name}\n"


# -- completion ----------------------------------------------------------------------------------

OFFERED = {
    "chainrule tr": {"train"},
    "chainrule train --optim": {"--optimizer"},
    "chainrule train --optimizer ad": {"adam", "adamw"},
    "chainrule train --activation ": set(ACTIVATIONS),
    "chainrule predict --backend c": {"cupy"},
}


@pytest.mark.parametrize("typed", OFFERED)
def test_commands_options_and_names_are_completed(typed):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    settings = {"_CHAINRULE_COMPLETE": "complete_bash"} | words
    result = CliRunner().invoke(app, [], prog_name="chainrule", env=settings)
    assert set(result.stdout.split()) == OFFERED[typed]


def test_bash_completes_and_completion_installs_itself_in_the_home_of_its_user(tmp_path):
    folder, home = tmp_path / "bin", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    program = folder / "chainrule"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    settings = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(home), "SHELL": "/bin/bash"}
    inherited = {k: v for k, v in os.environ.items() if k in ("PYTHONPATH", "VIRTUAL_ENV")}
    script = """
        eval "$(chainrule --show-completion)"
        COMP_WORDS=(chainrule tr); COMP_CWORD=1
        _chainrule_completion chainrule; echo "${COMPREPLY[@]}"
        chainrule --install-completion
        true
    """  # so that bash stays, and is found to be the shell
    command = ["bash", "--norc", "-c", script]
    done = subprocess.run(command, env=inherited | settings, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("train\n")
    assert "completion installed" in done.stdout
    assert (home / ".bash_completions" / "chainrule.sh").exists()
    assert "chainrule.sh" in (home / ".bashrc").read_text()
