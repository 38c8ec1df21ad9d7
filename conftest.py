"""Doctests of a room that imports an optional library run where that library is installed.

Native functions are kept in a folder of this run's own, so that the code under test compiles them.
"""

import os
import tempfile
from importlib.util import find_spec

CACHE = tempfile.TemporaryDirectory(prefix="chainrule-test-")
os.environ["CHAINRULE_CACHE_DIR"] = CACHE.name

ROOMS = {
    "cupy": ["backends/cupy.py", "backends/cupy_device.py", "backends/cupy_library.py"],
    "jax": ["backends/jax.py", "program/scan.py", "bench/contestants/jax.py"],
    "matplotlib": ["plots"],
    "sklearn": ["bench/contestants/scikit_learn.py", "estimators"],
    "torch": [
        "backends/torch.py",
        "bench/contestants/pytorch.py",
        "bench/contestants/pytorch_by_hand.py",
    ],
    "llvmlite": ["program/native"],
}

collect_ignore = [
    f"src/chainrule/{room}"
    for library, rooms in ROOMS.items()
    if find_spec(library) is None
    for room in rooms
]
