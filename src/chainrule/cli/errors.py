"""Errors on the command line: one line on stderr, exit code 2, no traceback."""

import sys
from difflib import get_close_matches
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.exceptions import TyperException

from chainrule.backends import BackendUnavailableError
from chainrule.cli.show import printable
from chainrule.ranks import current
from chainrule.training.tasks import DivergedError

MISUSE = 2
INTERRUPTED = 130

_LONGEST = 1500  # characters of a message; longer ones are cut in the middle, to keep the problem and the remedy

# Errors of the library whose message is one line: got, wanted, remedy.
# Any other error is a bug of chainrule and keeps its traceback.
AT_THE_DOOR = (ValueError, TypeError, OSError, ImportError, MemoryError, BackendUnavailableError)


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line.

    Examples
    --------
    >>> one_line(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'a.csv: No such file or directory'
    """
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, TyperException):
        return _misuse(error)
    return " ".join(str(error).split()) or type(error).__name__


def _misuse(error: Any) -> str:
    """Return the message for a wrong command line, with the option that may have been meant."""
    context = getattr(error, "ctx", None)
    text = " ".join(error.format_message().split()).replace("Value error, ", "")
    if context and hasattr(error, "possibilities"):  # an unknown option
        option, options = error.option_name, [param.opts for param in context.command.params]
        known = [name for names in options for name in names if name.startswith("--")]
        # Match abbreviations by initials: --lr is --learning-rate.
        short = {"--" + "".join(word[:1] for word in name.split("-")): name for name in known}
        close = [short[option]] if option in short else get_close_matches(option, known, n=1)
        text = error.message + "".join(f"; did you mean {name}?" for name in close)
    return f"{text} (see {context.command_path if context else 'chainrule'} --help)"


def fail(message: str) -> NoReturn:
    """Print an error on stderr and leave with the exit code for misuse."""
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
    text = Text.assemble(("error:", "bold red"), " ", printable(message))
    console = Console(stderr=True, soft_wrap=True, highlight=False)  # rich honours NO_COLOR
    current().fail(MISUSE, lambda: console.print(text))
    sys.exit(MISUSE)


class OneLineGroup(TyperGroup):
    """A group of commands whose errors are one line each."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the command line; in standalone mode, leave with its exit code."""
        standalone = options.pop("standalone_mode", True)
        options |= {"standalone_mode": False, "prog_name": "chainrule"}  # so that errors are raised here
        if not standalone:
            return super().main(*args, **options)
        try:
            code = super().main(*args, **options)
        except TyperException as error:
            fail(one_line(error))
        except DivergedError as error:
            fail(f"{error.args[0]}; no model was written; lower --learning-rate")
        except SystemExit as stop:
            # Click leaves with 1 if the reader of the output is gone, which is not a failure.
            sys.exit(0 if isinstance(stop.__context__, BrokenPipeError) else stop.code)
        except AT_THE_DOOR as error:
            fail(one_line(error))
        except typer.Abort:
            current().fail(INTERRUPTED, lambda: None)
            sys.exit(INTERRUPTED)
        return sys.exit(code if isinstance(code, int) else 0)
