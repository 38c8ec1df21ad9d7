"""Data: tables read from disk, columns scaled, and arrays checked before a network takes them.

What this package shows is imported when it is first used: `import chainrule` checks arrays and reads no tables.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule.data.bundled import DIGITS, digits
    from chainrule.data.samples import Samples, features_and_target, split
    from chainrule.data.streams import Stream
    from chainrule.data.tables import read_table

__all__ = ["DIGITS", "Samples", "Stream", "digits", "features_and_target", "read_table", "split"]

_ROOMS = {
    "bundled": ("DIGITS", "digits"),
    "samples": ("Samples", "features_and_target", "split"),
    "streams": ("Stream",),
    "tables": ("read_table",),
}


def __getattr__(name: str) -> Any:
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
