"""Doctests of a room that imports an optional library run where that library is installed."""

from importlib.util import find_spec

ROOMS = {
    "cupy": ["backends/cupy.py"],
    "jax": ["backends/jax.py"],
    "torch": ["backends/torch.py"],
    "llvmlite": ["program/native"],
}

collect_ignore = [
    f"src/chainrule/{room}"
    for library, rooms in ROOMS.items()
    if find_spec(library) is None
    for room in rooms
]
