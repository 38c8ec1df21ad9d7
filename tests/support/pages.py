"""The examples of a page in Markdown: found, run in order as a reader would, compared with what is shown.

- A ``python`` block is run; the blocks of a page share their names, as the cells of a notebook do.
- A ``text`` block right after a ``python`` block is what that block prints.
- In a ``console`` block, a line ``$ chainrule ...`` is run, and the lines up to the next ``$`` are what it
  prints; none means that it is not compared. In a ``sh`` block every line ``chainrule ...`` is run.
- ``...`` stands for anything, ``# ...`` ends a line with a remark.
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
# What a page may tell a reader to type that is not run here: it installs, or it takes long.
# These time the machine for a minute or more, or read what they have timed: they are parsed only.
PARSED = tuple(f"chainrule bench {name}" for name in ("run", "report", "compare", "recommend", "scale"))
NOT_RUN = (
    *("pip ", "python ", "python3 ", "nox", "pre-commit ", "source ", "benchmarks/"),
    *(".ci/", "LIMIT=", "PYTHONPATH=", "mpiexec "),
)


@dataclass
class Example:
    """Something to run, and what it is said to print (``None``: nothing is said)."""

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
            msg = f"{page.name}:{line - 1}: nothing is known of a block of {language!r}"
            raise ValueError(msg)
        end = fence.end()
    return found


def commands(language, body, line):
    """Yield the commands of a block; one that is neither ours nor known to be left out is an error."""
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
    """Run a page in an empty folder; a failure says on which line of the page it was."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    # Tests may run where no shell is among the parents of the process.
    monkeypatch.setattr("shellingham.detect_shell", lambda *_: ("bash", "/bin/bash"))
    (folder / "figures").mkdir(exist_ok=True)  # where a page draws its own
    names = {"__name__": "__main__"}
    found = examples(page)
    for example in found:
        try:
            printed = (
                run_python(example, page, names) if example.language == "python" else run_shell(example)
            )
        except Exception:  # noqa: BLE001  whatever an example raises is told with its place
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
    """Return what is known of each backend here, by its name."""
    return {record.name: record for record in backends.available()}


def run_shell(example):
    """Run a command line of ours, and return what it prints on standard output."""
    program, *words = shlex.split(example.text)
    words += ["--help"] if example.text.startswith(PARSED) else []
    result = CliRunner().invoke(app, words, prog_name=program)
    assert result.exit_code == 0, f"{example.text}: {result.stderr}"
    return result.stdout


def assert_printed(printed, example, page):
    """Hold what was printed to what the page shows."""
    alike = OutputChecker().check_output(example.shown, printed, ELLIPSIS | NORMALIZE_WHITESPACE)
    assert alike, f"{page.name}:{example.line} shows\n{example.shown}\nand this is printed:\n{printed}"
