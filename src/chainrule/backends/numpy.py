"""NumPy: the CPU, and the reference of every other backend."""

from collections.abc import Sequence
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from chainrule.backends.base import Availability, Backend, Forward, PlanOf
from chainrule.mathematics.arrays import size
from chainrule.program import machine
from chainrule.program.engine import Engine, Pack, Work
from chainrule.program.kernels import Kernels
from chainrule.program.operations import Operation
from chainrule.program.primitives import REDUCTIONS
from chainrule.program.replay import Call, Replay
from chainrule.program.row_blocks import Cut, cut
from chainrule.program.steps import LONG_SECONDS, StepsPack, blocked, cuts, is_native, product_threads

FEW_STEPS = 3  # binding a plan to memory takes as long as is saved in some five
CACHE_LINE = 64  # bytes; also the widest vector


class NumpyBackend(Backend):
    """NumPy arrays on the CPU."""

    plans = True

    def available_bytes(self) -> int | None:
        """Return the free memory in bytes; ``None`` if the system does not report it."""
        return machine.available_bytes()

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine.

        A long run goes to native code where llvmlite is installed; a short one, and what native code
        cannot run, goes to NumPy's own functions; a few small steps run as they are written.
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
        """Return an engine for several runs together, if they run in native code: many steps of all in one call."""
        native = all(map(self._runs_native, works))
        return StepsPack(works, threads, self.engine) if native else None

    def kernels(self, work: Work) -> Kernels:
        """Return the kernels for row blocks."""
        return _kernels(native=self._runs_native(work))

    def _runs_native(self, work: Work) -> bool:
        return native_is_at_hand() and is_native(work.plan(max(work.batch_sizes)).program, work.steps)

    def scratch_bytes(self, plan_of: PlanOf, rows: int, steps: int, threads: int | None) -> int:
        """Return the memory that steps take between their inputs and outputs: in row blocks, that of a block a thread."""
        whole = plan_of(rows)
        native = native_is_at_hand() and is_native(whole.program, steps)
        how = cut(whole.program, rows, machine.threads(threads), native=native)
        block = plan_of(how.sizes(rows)[0])
        return how.threads * (block.constant_bytes + block.scratch_bytes)

    def predict(self, forward: Forward, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
        """Return ``forward(theta, X)`` for any number of rows: many in threads, block by block."""
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
        """Return ``x`` as a C-contiguous NumPy array, without a copy if it is one."""
        return np.asarray(x, dtype=dtype, order="C")

    def copy(self, array: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return an array of the same values that shares no memory with ``array``; ``out`` if given."""
        if out is None:
            return array.copy()
        np.copyto(out, array)
        return out


class NumpyLibrary:
    """NumPy for replay: its memory, and its functions with ``out``."""

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return an array of any content, on a cache line's boundary."""
        nbytes = size(shape) * dtype.itemsize
        raw = np.empty(nbytes + CACHE_LINE, dtype=np.uint8)
        start = -raw.ctypes.data % CACHE_LINE
        return self.reshaped(raw[start:], shape, dtype)

    def reshaped(self, raw: np.ndarray, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        """Return the first bytes of ``raw``, 1-d of uint8, as an array of this shape and dtype."""
        return raw[: size(shape) * dtype.itemsize].view(dtype).reshape(shape)

    def constant(self, data: np.ndarray) -> np.ndarray:
        """Return a known array."""
        return np.asarray(data, order="C")

    def shares(self, view: np.ndarray, array: np.ndarray) -> bool:
        """Return whether what was reshaped looks at the memory of what it was, and is no copy."""
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
            return np.dot, (*arguments, out)  # the same BLAS call, the same bits, half the way to it
        if function == "where":
            return _choice(arguments, out)
        if function in {"maximum", "minimum", "clip"}:  # their last position is no longer out
            return partial(getattr(np, function), out=out), tuple(arguments)
        return getattr(np, function), (*arguments, out)

    def gather(self, source: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
        """Copy rows of ``source`` to ``out``; the rows are known to exist, so none is looked up twice."""
        source.take(rows, 0, out, "clip")  # "raise" would go through a copy

    def fill(self, target: np.ndarray, number: float) -> None:
        """Write a number into a 0-d array."""
        target[()] = number

    def listed(self, array: np.ndarray) -> list[float]:
        """Return the numbers of a 1-d array."""
        numbers: list[float] = array.tolist()
        return numbers

    def captured(self, calls: list[Call]) -> list[Call]:
        """Return the calls as they are: CuPy, which has this method as well, refuses cuBLAS while a stream captures."""
        return calls


def _choice(operands: list[np.ndarray], out: np.ndarray) -> Call:
    """Return a call of ``where`` with ``out``, which NumPy's lacks; ``out`` may share memory with an operand."""
    condition, yes, no = operands
    if out.ctypes.data == no.ctypes.data and out.strides == no.strides:
        return np.copyto, (out, yes, "no", condition)
    return _chosen, (condition, yes, no, out, np.empty(condition.shape, np.bool_))


def _chosen(
    condition: np.ndarray, yes: np.ndarray, no: np.ndarray, out: np.ndarray, otherwise: np.ndarray
) -> None:
    np.logical_not(condition, otherwise)  # first, where ``out`` lies in the condition's place
    np.copyto(out, yes)
    np.copyto(out, no, "no", otherwise)


@cache
def _kernels(*, native: bool) -> Kernels:
    if native:
        from chainrule.program.native.kernels import NativeKernels

        return NativeKernels(NumpyLibrary())
    return Kernels(NumpyLibrary())


@cache
def native_is_at_hand() -> bool:
    """Return whether native code can be made here, and can call the BLAS that NumPy is linked with."""
    if find_spec("llvmlite") is None:
        return False
    from chainrule.program.native.blas import find_blas

    return find_blas() is not None


def make(device: str | None = None) -> NumpyBackend:
    """Return the backend; its only device is "cpu"."""
    if device not in (None, "cpu"):
        msg = f"backend 'numpy' has no device {device!r}; its only one is 'cpu'"
        raise ValueError(msg)
    return NumpyBackend("numpy", np)


def of(_array: np.ndarray) -> NumpyBackend:
    """Return the backend that ``array`` belongs to."""
    return make()


def probe() -> Availability:
    """Return the availability of this backend."""
    return Availability("numpy", usable=True, version=np.__version__, devices=("cpu",))
