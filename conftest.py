"""Doctests of a module that imports an optional library run only if that library is installed.

Native functions are cached in a temporary folder, so that the code under test compiles them.
"""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # With a process for each core, more threads of BLAS would only wait for each other. Tests of threads set their
    # own number. This must happen before NumPy is imported, and applies to the processes that tests start.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
else:  # the processes of a run share its folder
    CACHE = tempfile.TemporaryDirectory(prefix="chainrule-test-")
    os.environ["CHAINRULE_CACHE_DIR"] = CACHE.name

SOURCE = Path(__file__).parent / "src" / "chainrule"
MODULES = {
    "cupy": ["ranks/nccl.py", "backends/cupy.py", "backends/cupy_device.py"],
    "jax": ["backends/jax.py", "program/scan.py", "bench/contestants/jax.py"],
    "matplotlib": ["plots", "bench/report/charts.py", "bench/report/drawing.py"],
    "onnx": ["saving/onnx.py"],
    "sklearn": ["bench/contestants/scikit_learn.py", "estimators"],
    "mpi4py": ["ranks/mpi.py"],
    "torch": [
        "backends/torch.py",
        "bench/contestants/pytorch.py",
        "bench/contestants/pytorch_by_hand.py",
    ],
    "llvmlite": ["program/native"],
}

collect_ignore = [
    SOURCE / module
    for library, modules in MODULES.items()
    if find_spec(library) is None
    for module in modules
]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these doctests with the library that they need."""
    for item in items:
        for library, modules in MODULES.items():
            if any(item.path.is_relative_to(SOURCE / module) for module in modules):
                item.add_marker(pytest.mark.needs(library))
