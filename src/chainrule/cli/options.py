"""Options: their table ``options.toml``, those that commands share, and one that takes several numbers.

`--hidden 128 64`, `--hidden 128,64` and `--hidden 128 --hidden 64` are the same.
"""

import re
import tomllib
from collections.abc import Collection, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from chainrule import NeuralNetwork
from chainrule.backends import INSTALL
from chainrule.data.bundled import DIGITS
from chainrule.data.facts import TABLE, Facts
from chainrule.data.tables import Dialect
from chainrule.mathematics.naming import quoted, refusing, require
from chainrule.mathematics.optimizers import OPTIMIZERS
from chainrule.saving.schema import parsed

HIDDEN = "--hidden"

_DURATION = r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?"
_SIZES = re.compile(r"-?\d+(,-?\d+)*")


_ROWS: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(
    Path(__file__).with_name("options.toml").read_text(encoding="utf-8")
)


def _row(name: str) -> tuple[list[str], dict[str, Any]]:
    command, _, key = name.partition(".")
    row = dict(_ROWS[command][key])
    return row.pop("names", []), row


def option(name: str, known: Collection[str] = (), **more: Any) -> Any:
    """Return an option of ``options.toml``; the shell completes ``known`` names."""
    names, row = _row(name)
    return typer.Option(*names, autocompletion=(lambda: list(known)) if known else None, **row | more)


def argument(name: str) -> Any:
    """Return an argument of ``options.toml``."""
    return typer.Argument(**_row(name)[1])


BackendName = Annotated[str | None, option("shared.backend", INSTALL)]
Model = Annotated[Path, argument("shared.model")]
AsJson = Annotated[bool, option("shared.json")]
Encoding = Annotated[str, option("shared.encoding")]
Separator = Annotated[str, option("shared.separator")]
OptimizerName = Annotated[str, option("shared.optimizer", OPTIMIZERS)]


def spread(arguments: list[str]) -> list[str]:
    """Repeat ``--hidden`` before each number that follows it.

    An option of Typer takes a fixed number of values, but there are as many numbers as layers. A word that is not a number ends
    them, so the table may come before or after.

    Examples
    --------
    >>> spread(["--hidden", "128", "64", "iris.csv"])
    ['--hidden', '128', '--hidden', '64', 'iris.csv']
    """
    out: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        out.append(word)
        if word == "--":
            return out + rest
        if word == HIDDEN and rest:
            out.append(rest.pop(0))
        if word.partition("=")[0] == HIDDEN:
            more = list(takewhile(_SIZES.fullmatch, rest))
            del rest[: len(more)]
            out += [part for size in more for part in (HIDDEN, size)]
    return out


def sizes(words: list[str], name: str = HIDDEN, least: int = 1) -> tuple[int, ...]:
    """Return the numbers in the ``words`` of an option, each a number or several separated by commas.

    Examples
    --------
    >>> sizes(["128,64", "32"])
    (128, 64, 32)
    """
    problem = f"{name} {' '.join(words)}: wanted whole numbers, as in {name} 8,4"
    with refusing(ValueError, problem):
        numbers = tuple(int(size) for word in words for size in word.split(","))
    require(min(numbers) >= least, f"{name} {' '.join(words)}: every number must be {least} or more")
    return numbers


class TrainCommand(TyperCommand):
    """A command whose ``--hidden`` takes all numbers after it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, with ``--hidden`` spread out."""
        return super().parse_args(ctx, spread(args))


def dialect(encoding: str, separator: str, spelled: Collection[str] = ()) -> Dialect:
    """Return the checked encoding and separator of a CSV file."""
    separator = {"tab": "\t", "\\t": "\t"}.get(separator, separator)
    chosen = Dialect(encoding, separator, spelled)
    chosen.check()
    return chosen


def names(words: Sequence[str] | None, known: Collection[str]) -> list[str] | None:
    """Return the names of columns in ``words``, each a name or several separated by commas; ``None`` without any.

    Examples
    --------
    >>> names(["a,b", "size, in m"], ["a", "b", "size, in m"])
    ['a', 'b', 'size, in m']
    """
    if words is None:
        return None
    split = [[word] if word in known else word.split(",") for word in words]
    return [name.strip() for part in split for name in part]


def seconds(duration: str) -> float:
    """Return the seconds in a duration: a number of seconds, or hours, minutes and seconds.

    Examples
    --------
    >>> seconds("90"), seconds("1h30m"), seconds("2.5m")
    (90.0, 5400.0, 150.0)
    """
    parts = re.fullmatch(_DURATION, duration)
    if parts is None or not duration:
        msg = f"{quoted(duration)} is not a duration; give seconds, or hours and minutes such as 1h30m"
        raise ValueError(msg)
    return sum(float(part or 0) * size for part, size in zip(parts.groups(), (3600, 60, 1), strict=True))


def loaded(model: Path, backend: str | None) -> tuple[NeuralNetwork, Facts]:
    """Return a network and the facts of its table, or raise if it was not trained on a table."""
    network = NeuralNetwork.load(model, backend=backend)
    problem = "the model was not made by chainrule train: it has no column names; load it in Python"
    require(TABLE in network.metadata, problem)
    facts: Facts = parsed(network.metadata[TABLE], Facts, TABLE)
    return network, facts


def table_path(text: str) -> Path:
    """Return the path of a table; the word ``digits`` stands for the bundled one."""
    path = Path(text)
    return DIGITS if text == "digits" and not path.exists() else path
