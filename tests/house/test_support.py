"""The tests' own tools: read-only arrays refuse writes, and a required backend is not skipped."""

import array_api_compat.numpy as xp
import numpy as np
import pytest
from _pytest.outcomes import Failed, Skipped

from support import extras
from support.backends import KINDS, absent, need
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


@pytest.mark.parametrize("required", ["", "jit", "plots,jit"])
def test_an_extra_that_is_absent_skips_and_fails_where_it_is_required(monkeypatch, required):
    monkeypatch.setitem(extras.LIBRARIES, "jit", "no_such_library")
    monkeypatch.setenv("REQUIRE_EXTRA", required)
    with pytest.raises(Failed if required else Skipped, match="no_such_library is not installed"):
        extras.need("jit")
