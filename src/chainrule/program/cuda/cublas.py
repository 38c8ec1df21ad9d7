"""cuBLAS through its C interface, since CuPy's own products refuse a stream that is being captured.

The handle gets a stream and a workspace once, before anything is captured, so that a call allocates nothing and can be captured
like any other launch.
"""

import ctypes
import weakref
from dataclasses import dataclass
from typing import Any, Final

from chainrule.program.cuda.device import CannotCaptureError

HOST, ON_DEVICE = 0, 1  # location of alpha and beta
FULL_SUMS: Final = 16  # cublasMath_t: also partial sums of a 16-bit product are added in float32
DEFAULT_ALGORITHM: Final = -1
TYPES: Final = {"float32": 0, "float64": 1, "float16": 2, "bfloat16": 14}  # cudaDataType_t
# cublasComputeType_t: 32F, 64F, 32F_FAST_TF32.
COMPUTE: Final = {"float32": 68, "float64": 70, "tf32": 77}
# cublasStatus_t, except 0 (success).
STATUSES: Final = {
    1: "not initialized", 3: "allocation failed", 7: "invalid value", 8: "architecture mismatch",
    11: "mapping error", 13: "execution failed", 14: "internal error", 15: "not supported", 16: "license error",
}  # fmt: skip
ALLOCATION_FAILED: Final = 3
WORKSPACE_BYTES: Final = 32 << 20  # NVIDIA's recommendation for Hopper; smaller devices need less


def call(library: Any, function: str, *arguments: Any) -> None:
    """Call a function of cuBLAS or cuBLASLt.

    Raises
    ------
    CannotCaptureError
        If the library lacks the function, or the function fails.
    MemoryError
        If there is not enough memory for the function.
    """
    if not hasattr(library, function):
        msg = f"the library of CUDA lacks {function}; install another version"
        raise CannotCaptureError(msg)
    if status := getattr(library, function)(*arguments):
        reason = STATUSES.get(status, "unknown")
        msg = f"{function.removesuffix('_v2')} failed with cuBLAS's status {status}, {reason}"
        raise (MemoryError if status == ALLOCATION_FAILED else CannotCaptureError)(msg)


@dataclass(frozen=True)
class Matrix:
    """A row-major matrix, or the transpose of one: its address, its shape and the length of its rows in memory."""

    address: int
    rows: int
    columns: int
    stride: int  # entries from row to row, or for a transpose from column to column
    turned: bool
    dtype: str


def matrix(array: Any, address: int, dtype: str) -> Matrix:
    """Return the description of a 2-d array for cuBLAS.

    Raises
    ------
    CannotCaptureError
        If neither its rows nor its columns are contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones((3, 4), dtype=np.float32)
    >>> matrix(x.T, 0, "float32")
    Matrix(address=0, rows=4, columns=3, stride=4, turned=True, dtype='float32')
    """
    (rows, columns), size = array.shape, array.itemsize
    down, along = array.strides
    if along == size or columns == 1:
        return Matrix(address, rows, columns, down // size if rows > 1 else columns, False, dtype)
    if down == size or rows == 1:
        return Matrix(address, rows, columns, along // size, True, dtype)
    msg = f"the step multiplies an array of shape {array.shape} and strides {array.strides}"
    raise CannotCaptureError(msg)


class Cublas:
    """A cuBLAS handle, bound to one stream and one workspace.

    Parameters
    ----------
    library
        libcublas, or a library with the same functions.
    stream
        The address of a CUDA stream.
    workspace
        The address and the bytes of device memory.
    tf32
        Whether float32 products may round their factors to 10 bits.
    owners
        The stream and the memory, which are kept until the handle is destroyed.

    Raises
    ------
    CannotCaptureError
        If the library lacks a function, or a call fails.
    MemoryError
        If there is not enough memory for the handle.
    """

    def __init__(
        self,
        library: Any,
        stream: int,
        workspace: tuple[int, int],
        *,
        tf32: bool = False,
        owners: tuple[object, ...] = (),
    ) -> None:
        self._library, self._tf32, self._mode = library, tf32, HOST
        self.handle, self.stream = ctypes.c_void_p(), ctypes.c_void_p(stream)
        self.workspace = ctypes.c_void_p(workspace[0]), ctypes.c_size_t(workspace[1])
        call(library, "cublasCreate_v2", ctypes.byref(self.handle))
        # Not at the interpreter's end: the device may be gone by then.
        weakref.finalize(self, _destroy, library, self.handle, owners).atexit = False
        # In this order: setting the stream resets the workspace.
        call(library, "cublasSetStream_v2", self.handle, self.stream)
        call(library, "cublasSetWorkspace_v2", self.handle, *self.workspace)
        call(library, "cublasSetMathMode", self.handle, FULL_SUMS)

    def multiply(self, A: Matrix, B: Matrix, out: Matrix, scale: int = 0, plus: int = 0) -> None:
        """Launch ``out <- A @ B``; with the addresses of two numbers, ``out <- scale A @ B + plus out``."""
        self._point(ON_DEVICE if scale else HOST)
        compute, number = self.compute(A, out)
        alpha = ctypes.c_void_p(scale) if scale else ctypes.byref(number(1.0))
        beta = ctypes.c_void_p(plus) if scale else ctypes.byref(number(0.0))
        # cuBLAS is column-major: it computes out' = B' A' on the same memory.
        call(
            self._library, "cublasGemmEx",
            self.handle, int(B.turned), int(A.turned), B.columns, A.rows, A.columns,
            alpha, ctypes.c_void_p(B.address), TYPES[B.dtype], B.stride,
            ctypes.c_void_p(A.address), TYPES[A.dtype], A.stride,
            beta, ctypes.c_void_p(out.address), TYPES[out.dtype], out.stride, compute, DEFAULT_ALGORITHM,
        )  # fmt: skip

    def compute(self, A: Matrix, out: Matrix) -> tuple[int, type[ctypes.c_float | ctypes.c_double]]:
        """Return how the product is computed, a ``cublasComputeType_t``, and the type of alpha and beta."""
        if out.dtype == "float64":
            return COMPUTE["float64"], ctypes.c_double
        is_tf32 = self._tf32 and out.dtype == "float32" and A.dtype == "float32"
        return COMPUTE["tf32" if is_tf32 else "float32"], ctypes.c_float

    def _point(self, mode: int) -> None:
        if mode != self._mode:
            call(self._library, "cublasSetPointerMode_v2", self.handle, mode)
            self._mode = mode


def _destroy(library: Any, handle: ctypes.c_void_p, _owners: tuple[object, ...]) -> None:
    library.cublasDestroy_v2(handle)
