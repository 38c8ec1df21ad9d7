"""NumPy: the CPU, and the reference for all other backends."""

from collections.abc import Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from chainrule.backends.base import Availability, Backend, Forward, PlanOf
from chainrule.mathematics.arrays import size
from chainrule.mathematics.naming import require
from chainrule.program import machine
from chainrule.program.engine import Engine, Pack, Work
from chainrule.program.kernels import Kernels
from chainrule.program.operations import Operation
from chainrule.program.primitives import REDUCTIONS
from chainrule.program.replay import Call, Replay
from chainrule.program.row_blocks import Cut, cut
from chainrule.program.steps import LONG_SECONDS, StepsPack, blocked, cuts, is_native, product_threads

FEW_STEPS = 3  # binding a plan to memory takes as long as it saves in about five steps
CACHE_LINE = 64  # bytes; also the widest vector


class NumpyBackend(Backend):
    """NumPy arrays on the CPU."""

    plans = True

    def available_bytes(self) -> int | None:
        """Return the free memory in bytes; ``None`` if the system does not report it."""
        return machine.available_bytes()

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine.

        With llvmlite, native code runs long runs. Short runs, and steps that native code cannot run, use NumPy's
        functions with ``out``. A few small steps run as written.
        """
        if self._runs_native(work):
            return blocked(work, _kernels(native=True), cuts(work, native=True))
        interpreted = cuts(work, native=False)
        if set(interpreted.values()) == {Cut(1, 1)}:
            if work.steps <= FEW_STEPS:
                return self.plain(work)
            return Replay(work, NumpyLibrary(), self.asarray, product_threads(work))
        return blocked(work, _kernels(native=False), interpreted)

    def pack(self, works: Sequence[Work], threads: int) -> Pack | None:
        """Return an engine that runs many steps of several runs in one call, if native code runs them."""
        native = all(map(self._runs_native, works))
        return StepsPack(works, threads, self.engine) if native else None

    def kernels(self, work: Work) -> Kernels:
        """Return the kernels for row blocks."""
        return _kernels(native=self._runs_native(work))

    def _runs_native(self, work: Work) -> bool:
        return native_is_at_hand() and is_native(work.plan(max(work.batch_sizes)).program, work.steps)

    def scratch_bytes(self, plan_of: PlanOf, rows: int, steps: int, threads: int | None) -> int:
        """Return the bytes of memory for intermediate results; with row blocks, the bytes of one block per thread."""
        whole = plan_of(rows)
        native = native_is_at_hand() and is_native(whole.program, steps)
        how = cut(whole.program, rows, machine.threads(threads), native=native)
        block = plan_of(how.sizes(rows)[0])
        return how.threads * (block.constant_bytes + block.scratch_bytes)

    def predict(self, forward: Forward, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return the outputs ``forward(theta, X)``, of shape (n, n_out); many rows in threads, block by block."""
        from chainrule.program import forward_pass

        if max(theta.nbytes, X.nbytes) <= forward_pass.FEW_BYTES:
            return forward_pass.few(forward, theta, X, _kernels(native=False))
        how = forward_pass.cut(theta, X)
        if how.rows >= len(X):
            whole: np.ndarray = forward(theta, X)  # (n, n_out)
            return whole
        native = forward_pass.seconds(theta, X) > LONG_SECONDS and native_is_at_hand()
        return forward_pass.predict(forward, theta, X, how, _kernels(native=native))

    def asarray(self, x: Any, dtype: Any = None) -> np.ndarray:
        """Return ``x`` as a C-contiguous NumPy array, without a copy if possible."""
        return np.asarray(x, dtype=dtype, order="C")

    def copy(self, array: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return a copy of ``array`` that shares no memory with it; ``out`` if given."""
        if out is None:
            return array.copy()
        np.copyto(out, array)
        return out


class NumpyLibrary:
    """NumPy's memory and functions with ``out``, for replay."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return an uninitialized array that starts at the boundary of a cache line."""
        nbytes = size(shape) * dtype.itemsize
        raw = np.empty(nbytes + CACHE_LINE, dtype=np.uint8)
        start = -raw.ctypes.data % CACHE_LINE
        return self.reshaped(raw[start:], shape, dtype)

    def reshaped(self, raw: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""
        return raw[: size(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def constant(self, data: np.ndarray) -> np.ndarray:
        """Return an array with these entries."""
        return np.asarray(data, order="C")

    def shares(self, view: np.ndarray, array: np.ndarray) -> bool:
        """Return whether ``view``, a reshaped ``array``, shares its memory and is not a copy."""
        return np.may_share_memory(view, array)

    def call(self, operation: Operation, arguments: list[Any], out: np.ndarray) -> Call:
        """Return the call that computes ``operation`` into ``out``."""
        function, settings = operation.function, operation.settings
        if function in {"copy", "astype"}:
            return np.copyto, (out, arguments[0], "unsafe")
        if function in REDUCTIONS:
            reduce = np.add.reduce if function == "sum" else np.maximum.reduce
            return reduce, (arguments[0], settings["axis"], None, out, settings["keepdims"])
        if function == "matmul" and out.ndim == 2 and out.flags.c_contiguous:
            return np.dot, (*arguments, out)  # the same BLAS call and bits, with half the overhead
        if function == "where":
            return _choice(arguments, out)
        if function in {"maximum", "minimum", "clip"}:  # take ``out`` only by keyword
            return partial(getattr(np, function), out=out), tuple(arguments)
        return getattr(np, function), (*arguments, out)

    def gather(self, source: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Copy rows of ``source`` to ``out``; the rows must exist."""
        source.take(rows, 0, out, "clip")  # "raise" would make a copy first

    def fill(self, target: np.ndarray, number: float) -> None:
        """Write a number into a 0-d array."""
        target[()] = number

    def listed(self, array: np.ndarray) -> list[float]:
        """Return the numbers of a 1-d array."""
        numbers: list[float] = array.tolist()
        return numbers

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return the same calls. CuPy inherits this: it refuses cuBLAS while a stream captures."""
        return calls


def _choice(operands: list[np.ndarray], out: np.ndarray) -> Call:
    """Return a call of ``where`` with ``out``, which NumPy lacks; ``out`` may be the array of an operand."""
    condition, yes, no = operands
    if out.ctypes.data == no.ctypes.data and out.strides == no.strides:
        return np.copyto, (out, yes, "no", condition)
    otherwise = np.empty(condition.shape, np.bool_)

    def choose() -> None:
        np.logical_not(condition, otherwise)  # first, since ``out`` may be the array of the condition
        np.copyto(out, yes)
        np.copyto(out, no, "no", otherwise)

    return choose, ()


@cache
def _kernels(*, native: bool) -> Kernels:
    if native:
        from chainrule.program.native.kernels import NativeKernels

        return NativeKernels(NumpyLibrary())
    return Kernels(NumpyLibrary())


@cache
def native_is_at_hand() -> bool:
    """Return whether llvmlite is installed and the functions of NumPy's BLAS are found."""
    if find_spec("llvmlite") is None:
        return False
    from chainrule.program.native.blas import find_blas

    return find_blas() is not None


def make(device: str | None = None) -> NumpyBackend:
    """Return the backend; its only device is "cpu"."""
    require(device in (None, "cpu"), f"backend 'numpy' has no device {device!r}; its only one is 'cpu'")
    return NumpyBackend("numpy", np)


def of(_array: np.ndarray) -> NumpyBackend:
    """Return the backend of an array."""
    return make()


def probe() -> Availability:
    """Return the availability of this backend."""
    return Availability("numpy", usable=True, version=np.__version__, devices=("cpu",))
