"""Engines to hold to the plain one, and ways to make training use them however small the work is."""

import numpy as np
import pytest

import chainrule.backends.numpy as room
from chainrule import backends
from chainrule.backends.numpy import NumpyLibrary
from chainrule.program.interpreted import InterpretedKernels
from chainrule.program.replay import Replay
from chainrule.program.steps import blocked
from support.steps import forced

NATIVE = pytest.param("native", marks=pytest.mark.needs("jit"))
BLOCKED = ("interpreted", NATIVE)
NAMES = ("replay", *BLOCKED)


def native_kernels():
    """Return kernels of native code, which need the extra jit."""
    from chainrule.program.native.kernels import NativeKernels

    return NativeKernels(NumpyLibrary())


def made(name, work):
    """Return the engine of this name; blocks are forced on the few rows of a test."""
    if name == "replay":
        return Replay(work, NumpyLibrary(), backends.named("numpy").asarray)
    kernels = native_kernels() if name == "native" else InterpretedKernels(NumpyLibrary())
    return blocked(work, kernels, forced(work))


def use(monkeypatch, name):
    """Make every training on NumPy run on the engine of this name."""

    def engine(_self, work):
        return made(name, work)

    monkeypatch.setattr(room.NumpyBackend, "engine", engine)


def blas_threads():
    """Return the threads of every BLAS that is loaded."""
    from threadpoolctl import threadpool_info

    return [info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas"]


def error_relative_to(wanted, got):
    """Return the largest difference, relative to the largest entry; NaN is an error of its own."""
    got, wanted = np.asarray(got, np.float64), np.asarray(wanted, np.float64)
    assert got.shape == wanted.shape
    assert np.isfinite(got).all()
    return np.abs(got - wanted).max() / max(np.abs(wanted).max(), np.finfo(np.float64).tiny)
