"""Run the examples of a page in Markdown in order, and compare their output with the page.

- A ``python`` block is run; the blocks of a page share their names, as the cells of a notebook do.
- A ``text`` block right after a ``python`` block is what that block prints.
- In a ``console`` block, a line ``$ chainrule ...`` is run and compared with the lines up to the next ``$``, if there
  are any. In a ``sh`` block every line ``chainrule ...`` is run.
- ``...`` matches anything; ``# ...`` at the end of a line is a comment.
"""

import os
import re
import shlex
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from functools import cache
from io import StringIO

from typer.testing import CliRunner

from chainrule import backends
from chainrule.cli.app import app

FENCE = re.compile(r"^```(\w*)\n(.*?)^```[ ]*$", re.DOTALL | re.MULTILINE)
BACKEND = re.compile(r'backend="(\w+)[^"]*"')
# These commands measure the machine for a minute, or read such measurements: only their options are parsed.
PARSED = tuple(f"chainrule bench {name}" for name in ("run", "report", "compare", "recommend", "scale"))
# Commands that install something or take long.
NOT_RUN = (
    *("pip ", "python ", "python3 ", "nox", "pre-commit ", "source ", "benchmarks/"),
    *(".ci/", "LIMIT=", "PYTHONPATH=", "mpiexec "),
)


@dataclass
class Example:
    """Something to run, and the output that the page shows, or ``None``."""

    language: str  # "python", "shell"
    text: str
    line: int  # where it starts in its page
    shown: str | None = None


def examples(page):
    """Return the examples of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found, end = [], 0
    for fence in FENCE.finditer(text):
        language, body = fence.groups()
        line = text.count("\n", 0, fence.start(2)) + 1
        if language == "python":
            found.append(Example("python", body, line))
        elif language == "text" and found and not text[end : fence.start()].strip():
            found[-1].shown = body
        elif language in ("sh", "console"):
            found += commands(language, body, line)
        elif language not in ("text", ""):
            msg = f"{page.name}:{line - 1}: unknown kind of block {language!r}"
            raise ValueError(msg)
        end = fence.end()
    return found


def commands(language, body, line):
    """Yield the commands of a block; a command that is neither ours nor in ``NOT_RUN`` is an error."""
    prompt = "$ " if language == "console" else ""
    last = None
    for number, written in enumerate(body.splitlines(), start=line):
        if not written.startswith(prompt):
            assert last is not None, f"line {number}: output without a command"
            last.shown = f"{last.shown or ''}{written}\n"
            continue
        command = written.removeprefix(prompt).partition("  #")[0].strip()
        if command.startswith("chainrule "):
            last = Example("shell", command, number)
            yield last
        else:
            assert not command or command.startswith(NOT_RUN), (
                f"line {number}: is {command!r} to be run?"
            )


def run_page(page, folder, monkeypatch):
    """Run a page in an empty folder; failures give the line of the page."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    # There may be no shell among the parent processes.
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))
    (folder / "figures").mkdir(exist_ok=True)  # for the pictures of the page
    names = {"__name__": "__main__"}
    found = examples(page)
    for example in found:
        try:
            printed = (
                run_python(example, page, names) if example.language == "python" else run_shell(example)
            )
        except Exception:  # noqa: BLE001  any error is reported with its line
            msg = f"{page.name}:{example.line}: {traceback.format_exc()}"
            raise AssertionError(msg) from None
        if example.shown is not None:
            assert_printed(printed, example, page)
    return found


def run_python(example, page, names):
    """Run a block with the names of those before it, and return what it prints."""
    # Lines of a traceback are those of the page.
    code = compile("\n" * (example.line - 1) + here(example.text), str(page), "exec")
    out = StringIO()
    with redirect_stdout(out):
        exec(code, names)  # noqa: S102  ours
    return out.getvalue()


def here(text):
    """Return a block with the backends that cannot be used on this machine replaced by NumPy."""

    def usable(found):
        room = rooms().get(found[1])
        if room is None or room.usable:  # "auto" is none of them
            return found[0]
        assert room.name not in os.environ.get("REQUIRE_BACKEND", "").split(","), room.reason
        return 'backend="numpy"'

    return BACKEND.sub(usable, text)


@cache
def rooms():
    """Return the record of each backend, by its name."""
    return {record.name: record for record in backends.available()}


def run_shell(example):
    """Run a command line of ours, and return what it prints on standard output."""
    program, *words = shlex.split(example.text)
    words += ["--help"] if example.text.startswith(PARSED) else []
    result = CliRunner().invoke(app, words, prog_name=program)
    assert result.exit_code == 0, f"{example.text}: {result.stderr}"
    return result.stdout


def assert_printed(printed, example, page):
    """Compare the output with the one that the page shows."""
    alike = OutputChecker().check_output(example.shown, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
    assert alike, f"{page.name}:{example.line} shows\n{example.shown}\nand this is printed:\n{printed}"
