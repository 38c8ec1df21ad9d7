"""Faults: the table ``faults.toml`` of what the diagnosis looks for, in words."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from chainrule.explain.records import Flag


def flag(kind: str, where: str, **figures: Any) -> Flag:
    """Return the flag of a fault, with the figures in its text.

    Examples
    --------
    >>> flag("learning rate too small", "learning_rate=1e-09", ratio=2e-9, rate="0.001").remedy
    'take about 0.001'
    """
    row = _table()[kind]
    return Flag(kind, where, row["what"].format(**figures), row["remedy"].format(**figures))


@cache
def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("faults.toml").read_text(encoding="utf-8"))
