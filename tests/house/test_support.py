"""The tests' own tools: read-only arrays refuse writes, and a required backend is not skipped."""

import fnmatch
import os
import subprocess
import sys
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest
from _pytest.outcomes import Failed, Skipped

from support import needs
from support.backends import KINDS
from support.needs import absent, need
from support.readonly import ReadOnlyBackend


def test_results_of_read_only_arrays_are_read_only_and_refuse_every_write():
    A = ReadOnlyBackend("numpy", xp).asarray(np.ones((2, 3)))
    for made in (
        A + 1,
        xp.matmul(A, A.T),
        xp.concat([A, A]),
        A[0],
        xp.reshape(A, (-1,)),
        xp.zeros_like(A),
    ):
        assert type(made) is type(A)
        with pytest.raises(ValueError, match="read-only"):
            made[0] = 5.0
        with pytest.raises(ValueError, match=r"write|read-only"):
            made[...] += 1
        with pytest.raises(ValueError, match=r"write|read-only"):
            np.add(made, 1, out=made)


def test_a_library_that_is_absent_skips(monkeypatch):
    monkeypatch.delenv("REQUIRE_BACKEND", raising=False)
    with pytest.raises(Skipped, match="no_such_library is not installed"):
        need("no_such_library")


@pytest.mark.parametrize("required", ["no_such_library", "numpy,no_such_library"])
def test_a_required_library_that_is_absent_fails(monkeypatch, required):
    monkeypatch.setenv("REQUIRE_BACKEND", required)
    with pytest.raises(Failed, match="REQUIRE_BACKEND names no_such_library"):
        need("no_such_library")
    with pytest.raises(Failed, match="no device"):
        absent("no_such_library", "it has no device")
    with pytest.raises(Skipped):
        need("another_library")


def test_the_kinds_are_those_that_the_project_promises():
    assert [kind.name for kind in KINDS] == [
        "numpy", "numpy-readonly", "strict", "strictest", "strict-device1", "torch", "jax", "cupy"
    ]  # fmt: skip


def test_each_kind_is_what_its_name_says(backend, request):
    name = request.node.callspec.id
    array = backend.asarray(np.ones(2))
    if name == "numpy-readonly":
        assert not array.flags.writeable
    if name == "strict-device1":
        with pytest.raises(RuntimeError):
            np.asarray(array)
    if name == "strictest":
        with pytest.raises(RuntimeError):
            array[array > 0]


@pytest.mark.parametrize("required", ["", "jit", "plots,llvmlite"])
def test_an_extra_is_its_library(monkeypatch, required):
    monkeypatch.setattr(needs, "find_spec", lambda _: None)
    monkeypatch.setenv("REQUIRE_EXTRA", required)
    with pytest.raises(Failed if required else Skipped, match="llvmlite is not installed"):
        need("jit")


TESTS = """
import pytest
pytestmark = pytest.mark.needs("numpy")
@pytest.mark.parametrize("_", range(3))
@pytest.mark.needs("no_such_library")
def test_skipped(_): pass
@pytest.mark.timed
def test_run(): pass
def test_too(): pass
"""


@pytest.mark.parametrize(
    ("required", "options", "lines"),
    [
        (
            "",
            ["-n", "2"],
            ["SKIPPED [3] no_such_library is not installed", "=* 2 passed, 3 skipped in *"],
        ),
        ("no_such_library", ["--needs", "jit,no_such_library"], ["=* 2 deselected, 3 errors in *"]),
    ],
)
def test_a_run_says_once_what_was_missing(tmp_path, required, options, lines):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text("from support.alone import *\nfrom support.needs import *")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  needs\n  timed\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "."]
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path, "REQUIRE_EXTRA": required}
    done = subprocess.run(
        [*command, *options], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    said = done.stdout.splitlines()
    assert [line for line in lines if not fnmatch.filter(said, line.replace("[", "[[]"))] == []
