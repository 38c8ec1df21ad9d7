"""The tools of the tests: read-only arrays refuse writes, and a required backend is not skipped."""

import os
import subprocess
import sys
from pathlib import Path

import array_api_compat.numpy as xp
import numpy as np
import pytest
from _pytest.outcomes import Failed, Skipped

from support import needs
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


@pytest.mark.parametrize("required", ["no_such_library", "numpy,no_such_library"])
def test_a_library_that_is_absent_skips_and_fails_where_it_is_required(monkeypatch, required):
    monkeypatch.setenv("REQUIRE_BACKEND", required)
    with pytest.raises(Failed, match="REQUIRE_BACKEND names no_such_library"):
        need("no_such_library")
    with pytest.raises(Failed, match="no device"):
        absent("no_such_library", "it has no device")
    with pytest.raises(Skipped, match="another_library is not installed"):
        need("another_library")


def test_each_kind_is_what_its_name_says(backend, request):
    name = request.node.callspec.id
    assert name in {"numpy", "numpy-readonly", "strict", "torch", "jax", "cupy"}
    array = backend.asarray(np.ones(2))
    if name == "numpy-readonly":
        assert not array.flags.writeable
    if name == "strict":
        for beyond_the_standard in (np.asarray, lambda array: array[array > 0]):
            with pytest.raises(RuntimeError):
                beyond_the_standard(array)


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


def test_a_run_in_processes_says_once_what_was_missing_and_leaves_out_what_needs_no_named_library(
    tmp_path,
):
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "test_other.py").write_text("def test_left_out(): pass")
    (tmp_path / "conftest.py").write_text("from support.alone import *\nfrom support.needs import *")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  needs\n  timed\n")
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    env = os.environ | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-n", "1", "--needs", "numpy", "."]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert [line for line in lines if "SKIPPED" in line] == [
        "SKIPPED [3] no_such_library is not installed"
    ]
    assert "2 passed, 3 skipped in" in lines[-1]
