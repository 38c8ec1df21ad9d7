"""Names: the traced values are called what the mathematics calls them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from chainrule.program.tracer import Tracer

_HERE = str(Path(__file__).parent)
_MATHEMATICS = str(Path(__file__).parent.parent)


@contextmanager
def naming() -> Iterator[None]:
    """Name the traced values by what the mathematics calls them.

    Whenever a function of the package returns, its local variables name the values they hold: ``Z``
    in ``dense_forward``, with the number of the layer whose ``W`` it was given.
    """

    def on_event(frame: FrameType, event: str, returned: object) -> None:
        if event == "return" and _is_mathematics(frame):
            _name_records(returned)
            _name_locals(frame)

    if sys.getprofile() is not None:  # a profiler at work is left alone; names are a convenience
        yield
        return
    sys.setprofile(on_event)
    try:
        yield
    finally:
        sys.setprofile(None)


def _is_mathematics(frame: FrameType) -> bool:
    path = frame.f_code.co_filename
    return path.startswith(_MATHEMATICS) and not path.startswith(_HERE)


def _name_locals(frame: FrameType) -> None:
    number = _layer_number(frame)
    arguments = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    for name, held in frame.f_locals.items():
        if not isinstance(held, Tracer) or held.value.is_constant:
            continue
        # What a layer is handed as its dL_dA was made elsewhere, and is known by that name here.
        handed_down = name == "dL_dA" and "cache" in arguments and held.value.name in {"", name}
        if handed_down or (not held.value.name and name not in arguments):
            held.value.name = f"{name}{number}"


def _name_records(returned: Any) -> None:
    """Name the layers that are returned as a tuple of records: W1, b1, W2, b2, ..."""
    if not isinstance(returned, tuple) or not all(hasattr(part, "_fields") for part in returned):
        return
    for number, record in enumerate(returned, start=1):
        for name in record._fields:
            held = getattr(record, name)
            if isinstance(held, Tracer) and not held.value.name:
                held.value.name = f"{name}{number}"


def _layer_number(frame: FrameType | None) -> str:
    """Return the number of the layer that this call works on: that of a caller's layer or cache."""
    while frame is not None and _is_mathematics(frame):
        for record, part in (("layer", "W"), ("cache", "Z")):
            held = getattr(frame.f_locals.get(record), part, None)
            if isinstance(held, Tracer):
                return held.value.name.removeprefix(part)
        frame = frame.f_back
    return ""
