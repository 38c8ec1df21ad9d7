"""The stand-in: a CUDA device on the CPU, whose kernels are the generated ones and whose arrays are NumPy's.

It does what CUDA does where the step could go wrong: memory comes filled with NaN and between guards, a graph
repeats its calls with the arguments that it was captured with, and what cannot be captured is refused.
"""

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import ml_dtypes  # noqa: F401  NumPy then knows bfloat16
import numpy as np
import pytest

from chainrule.backends.numpy import NumpyLibrary
from chainrule.mathematics.arrays import size
from chainrule.program.cuda.cublas import Cublas, matrix
from chainrule.program.cuda.cublas_lt import LtProduct
from chainrule.program.cuda.device import CannotCaptureError
from chainrule.program.cuda.source import PRELUDE
from support.needs import absent

HERE = Path(__file__).parent
GUARD, LINE = 0xA5, 256
FLAGS = ("-O0", "-shared", "-fPIC", "-ffp-contract=off", "-Wno-unknown-pragmas")


@cache
def folder():
    return Path(tempfile.mkdtemp(prefix="chainrule-cuda-"))


def compiler():
    """Return the C++ compiler of this machine; skips the test where there is none."""
    found = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    return found or absent("c++", "there is no C++ compiler here")


@cache
def compiled(text, suffix=".cpp"):
    """Return the shared library of a C++ text."""
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    source, library = folder() / f"{name}{suffix}", folder() / f"{name}.so"
    if not library.exists():
        source.write_text(text, encoding="utf-8")
        command = [compiler(), *FLAGS, "-o", library, source]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:4000]
    return ctypes.CDLL(str(library))


def wrapped(text):
    """Return a kernel's source and a function that runs it over a grid, its arguments from an array."""
    head = re.search(rf"{text.name}\((.*?)\) \{{", text.source, re.DOTALL)
    parameters = [" ".join(part.split()) for part in head.group(1).split(",")]
    kinds = [re.match(r"(.*?)(\w+)$", part).group(1).strip() for part in parameters]
    arguments = ", ".join(f"*({kind.removeprefix('const ') if '*' not in kind else kind} *)a[{n}]" for n, kind in enumerate(kinds))  # fmt: skip
    return (
        f"{text.source}\nstatic void body_{text.name}(void **a) {{ {text.name}({arguments}); }}\n"
        f'extern "C" int run_{text.name}(void **a, const unsigned int *shape, int backwards) '
        f"{{ return run_grid(body_{text.name}, a, shape, backwards); }}\n"
    )


KNOWN, RUNS = {}, {}  # texts of kernels by their names, and what runs them


def know(text):
    """Make a kernel known before it is first run."""
    KNOWN[text.name] = text


def function_of(name):
    """Return what runs a kernel; all that are known by then and not compiled yet are compiled with it."""
    if name not in RUNS:
        new = [text for text in KNOWN.values() if text.name not in RUNS]
        source = (HERE / "threads.h").read_text(encoding="utf-8") + PRELUDE
        library = compiled(source + "".join(map(wrapped, new)))
        RUNS.update({text.name: getattr(library, f"run_{text.name}") for text in new})
    return RUNS[name]


def spoil(array):
    """Fill an array with NaN, of every float."""
    array.view(np.uint8)[...] = 0xFF


class LateMark:
    """What is fetched from the device arrives when a mark behind it is waited for, and not before."""

    def __init__(self, device):
        self._device, self._arrivals = device, None

    def record(self):
        assert self._arrivals is None, "a mark was recorded again before it was waited for"
        self._arrivals, self._device.fetched = self._device.fetched, []
        self._device.under_way += 1
        self._device.most_under_way = max(self._device.most_under_way, self._device.under_way)

    def synchronize(self):
        if self._arrivals is None:
            return
        self._device.waits += 1
        self._device.under_way -= 1
        for target, numbers in self._arrivals:
            target[...] = numbers
        self._arrivals = None


class LateLane:
    """A lane whose places may not be filled while a step may still read them."""

    def __init__(self):
        self._released = True

    def send(self, targets, sources):
        assert self._released, "a place was filled while a step may still read it"
        self._released = False
        for target, source in zip(targets, sources, strict=True):
            target[...] = source
            spoil(source)  # from here on it may be filled again

    def release(self):
        self._released = True

    def wait_until_sent(self):
        pass


class StandIn(NumpyLibrary):
    """A CUDA device on the CPU."""

    name = "stand-in"
    shared_bytes, most_blocks = 232448, 16  # an H100's
    clusters = 1  # that run at once
    fast = "plain"  # what is timed as faster than the other: a layer by cuBLASLt ("lt"), or a product and a kernel

    def __init__(self, multiprocessors=3, *, backwards=False, captures=True, tf32=False):
        self.multiprocessors, self.backwards, self._captures = multiprocessors, backwards, captures
        self.allocated, self.uploads, self.launches, self.graphs = [], 0, 0, []
        self.fences = 0  # of the last kernel
        self.copies = self.waits = self.replays = self.under_way = self.most_under_way = 0
        self.capturing, self.fetched = None, []
        self.blas = compiled((HERE / "cublas.cpp").read_text(encoding="utf-8"))
        self._workspace = self.empty((4096,), np.dtype(np.uint8))
        self.cublas = Cublas(self.blas, 0, (self._workspace.ctypes.data, 4096), tf32=tf32)
        self._one, self.timings = {}, 0

    # -- memory -----------------------------------------------------------------------------------

    def empty(self, shape, dtype):
        nbytes = size(shape) * dtype.itemsize
        assert self.capturing is None, "memory was allocated while a graph was captured"
        raw = np.full(nbytes + 3 * LINE, GUARD, dtype=np.uint8)
        start = LINE + -raw.ctypes.data % LINE
        raw[start : start + nbytes] = 0xFF  # NaN, of every float
        self.allocated.append((raw, start, nbytes))
        return self.reshaped(raw[start:], shape, dtype)

    def constant(self, data):
        self.uploads += 1
        array = self.empty(data.shape, data.dtype)
        array[...] = data
        return array

    def asarray(self, x, dtype=None):
        return self.constant(np.asarray(x, dtype=dtype))

    def at_work(self):
        return nullcontext()

    def check_guards(self):
        for raw, start, nbytes in self.allocated:
            assert (raw[:start] == GUARD).all(), "a kernel wrote before its array"
            assert (raw[start + nbytes :] == GUARD).all(), "a kernel wrote beyond its array"

    def address(self, array):
        return array.ctypes.data

    def pinned(self, shape, dtype):
        return np.empty(shape, dtype)

    def lane(self):
        return LateLane()

    def send(self, target, source):
        self.copies += 1
        target[...] = source
        spoil(source)

    def fetch(self, target, source):
        self.copies += 1
        self.fetched.append((target, source.copy()))
        spoil(target)

    def mark(self):
        return LateMark(self)

    # -- launches ---------------------------------------------------------------------------------

    def kernel(self, text):
        know(text)

        def launch(grid, block, arguments):
            assert text.shared_bytes <= self.shared_bytes
            self._call(
                function_of(text.name), (*grid, *block, text.shared_bytes, text.blocks), arguments
            )

        return launch

    def _call(self, function, shape, arguments):
        self.launches += 1
        for argument in arguments:
            # A number from the host would be the same in every replay: only lengths may be.
            assert isinstance(argument, np.ndarray | np.int64), f"{argument!r} is baked into the launch"
        numbers = [ctypes.c_longlong(int(a)) if isinstance(a, np.int64) else ctypes.c_void_p(a.ctypes.data) for a in arguments]  # fmt: skip
        places = (ctypes.c_void_p * len(numbers))(*(ctypes.addressof(n) for n in numbers))
        shape = (ctypes.c_uint * 6)(*shape)
        if self.capturing is None:
            self.fences = function(places, shape, self.backwards)
        else:
            self.capturing.append((function, places, shape, numbers, arguments))

    def clusters_at_once(self, text):
        return self.multiprocessors if text.blocks == 1 else self.clusters

    def product(self, product):
        A, B, out = (matrix(a, a.ctypes.data, a.dtype.name) for a in product[:3])
        scale, plus = product.scale, 0
        if product.onto:
            plus = self._one.setdefault(scale.dtype, np.ones((), scale.dtype)).ctypes.data

        def multiply():
            self.cublas.multiply(A, B, out, 0 if scale is None else scale.ctypes.data, plus)

        if product.bias is not None:
            bias = product.bias.ctypes.data
            multiply = LtProduct(self.cublas_lt(), self.cublas, (A, B, out), bias, relu=product.relu)

        def launch():
            self.launches += 1
            if self.capturing is None:
                multiply()
            else:
                self.capturing.append((multiply, product))

        return launch, ()

    def cublas_lt(self):
        return self.blas

    def timed(self, calls):
        self.timings += 1
        for function, arguments in calls:
            function(*arguments)
        return 1.0 if (len(calls) == 1) == (self.fast == "lt") else 2.0

    def graph(self, calls):
        if not self._captures:
            msg = "this device captures nothing"
            raise CannotCaptureError(msg)
        self.capturing = []
        for function, arguments in calls:
            function(*arguments)
        nodes, self.capturing = self.capturing, None
        self.graphs.append(nodes)

        def replay():
            self.replays += 1
            for function, *how in nodes:
                function() if len(how) == 1 else function(how[0], how[1], self.backwards)

        return replay


def need_device(**how):
    """Return a stand-in; skips the test where there is no C++ compiler."""
    compiler()
    return StandIn(**how)


@pytest.fixture
def stand_in():
    """A CUDA device on the CPU; at the end nothing was written beside its arrays."""
    device = need_device()
    yield device
    device.check_guards()
