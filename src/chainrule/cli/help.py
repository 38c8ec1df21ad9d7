"""Help that fits a screen of 80 columns and 24 lines: a line for each option, an example at the end."""

from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

Row = tuple[str, str]  # how it is written, and what it is for

_HEIGHT = 24  # lines of a terminal as it opens
_WIDTH = 80  # columns, at most: longer lines are harder to read
_NAMES = 26  # columns for the names; a longer one is followed by its text in the next line
_NARROW = 30  # columns that a text needs beside the names
_EVERYWHERE = {"help"}  # every command has it, and the usage line says so


class Command(TyperCommand):
    """A command with help that fits a screen; its ``epilog`` is an example that runs as it stands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help into ``formatter``."""
        formatter.write(page(self, ctx))


class Group(TyperGroup):
    """A group of commands with the same kind of help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help into ``formatter``."""
        formatter.write(page(self, ctx))


def page(command: Any, ctx: Any) -> str:
    """Return the help of a command or a group: usage, what it does, its parts, an example."""
    width = min(_WIDTH, ctx.terminal_width or get_terminal_size().columns)
    named = [p for p in command.get_params(ctx) if p.name not in _EVERYWHERE]
    lines = wrap(_usage(command, ctx, named), width, subsequent_indent=" " * 8)
    lines[0] = lines[0].replace("Usage:", _bold("Usage:"), 1)
    lines += ["", *_paragraphs(command.help or "", width)]
    for rows in (
        _commands(command, ctx),
        [_row(p, ctx) for p in named if not getattr(p, "hidden", False)],
    ):
        lines += _block(rows, width)
    if command.epilog:
        lines += ["", f"{_bold('Example:')} {command.epilog}"]
    if len(lines) > _HEIGHT:  # then air is what it can do without
        lines = [line for line in lines if line]
    return "\n".join(lines) + "\n"


def _usage(command: Any, ctx: Any, named: list[Any]) -> str:
    """Return the usage line: what must be given, in the order to give it."""
    must = [p for p in named if p.required and p.param_type_name == "option"]
    words = [_value(p) for p in named if p.param_type_name == "argument"]
    words += [f"{p.opts[-1] if len(p.opts[-1]) == 2 else p.opts[0]} {_value(p)}" for p in must]
    words += ["COMMAND"] if hasattr(command, "commands") else []
    return " ".join(["Usage:", ctx.command_path, *words, "[OPTIONS]"])


def _commands(command: Any, ctx: Any) -> list[Row]:
    found = {name: command.get_command(ctx, name) for name in getattr(command, "commands", {})}
    return [(name, _sentence(c.help or "")) for name, c in found.items() if not c.hidden]


def _sentence(text: str) -> str:
    """Return the first sentence of what a command says of itself."""
    first, stop, _ = " ".join(text.split()).partition(". ")
    return f"{first}." if stop else first


def _row(parameter: Any, ctx: Any) -> Row:
    """Return how a parameter is written, and what it is for, with its default."""
    text = " ".join((parameter.help or "").split())
    if parameter.param_type_name == "argument":
        return _value(parameter), text
    names = ", ".join(sorted([*parameter.opts, *parameter.secondary_opts], key=len))
    if parameter.is_flag:
        return names, text
    default = _default(parameter, ctx)
    return f"{names} {_value(parameter)}", f"{text} [{default}]" if default else text


def _value(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.replace("_", " ").upper())


def _default(parameter: Any, ctx: Any) -> str:
    if isinstance(parameter.show_default, str):
        return str(parameter.show_default)
    if parameter.required:  # the usage line shows it
        return ""
    value = parameter.get_default(ctx, call=False)
    return "" if value is None or callable(value) else str(getattr(value, "value", value))


def _paragraphs(text: str, width: int) -> list[str]:
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        lines += ["", *wrap(" ".join(paragraph.split()), width)]
    return lines[1:]


def _block(rows: list[Row], width: int) -> list[str]:
    if not rows:
        return []
    wide = min(_NAMES, max(len(names) for names, _ in rows) + 2)
    return ["", *(line for names, text in rows for line in _entry(names, text, wide, width))]


def _entry(names: str, text: str, wide: int, width: int) -> list[str]:
    """Return a parameter's lines: its names, and its text beside them, or below where that is narrow."""
    beside = width - wide - 2 >= _NARROW
    told = wrap(text, width - (wide + 2 if beside else 6)) or [""]
    if not beside:
        return [f"  {_bold(names)}", *(" " * 6 + line for line in told)]
    if len(names) > wide - 2:
        return [f"  {_bold(names)}", *(" " * (wide + 2) + line for line in told)]
    first = f"  {_bold(names)}{' ' * (wide - len(names))}{told[0]}".rstrip()
    return [first, *(" " * (wide + 2) + line for line in told[1:])]


def _bold(text: str) -> str:
    return typer.style(text, bold=True)
