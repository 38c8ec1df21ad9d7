"""Engines to hold to the plain one, and ways to make training use them however small the work is."""

import pytest

import chainrule.backends.numpy as room
from chainrule import backends
from chainrule.backends.numpy import NumpyLibrary
from chainrule.program.kernels import Kernels
from chainrule.program.replay import Replay
from chainrule.program.steps import blocked
from support.compare import relative_error
from support.steps import epochs, forced, made_work, plain, ran

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
    kernels = native_kernels() if name == "native" else Kernels(NumpyLibrary())
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


def worst(got, wanted):
    """Return the largest error of the losses and of everything that a step changes."""
    pairs = [(got[0], wanted[0]), *zip(got[1], wanted[1], strict=True)]
    return max(relative_error(a, b) for a, b in pairs)


def distance(name, case, rows, dtype="float64", batch_size=10, plans=None):
    """Return how far an engine ends from the plain step, in the measure of ``worst``."""
    work = made_work(case, rows, dtype, batch_size)
    plans = plans or epochs(work)
    wanted = ran(plain(work), plans)
    return worst(ran(made(name, made_work(case, rows, dtype, batch_size)), plans), wanted)
