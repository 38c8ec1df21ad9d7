"""cuBLASLt, by its C interface: a matrix product that adds a bias, and takes the relu, before it writes its result.

Everything is chosen when the product is made: the algorithm, by cuBLASLt's own heuristic, for these addresses and this
workspace. A call is then one launch, which a capturing stream allows.
"""

import ctypes
import weakref
from collections.abc import Sequence
from typing import Any, Final

from chainrule.program.cuda.cublas import TYPES, Cublas, Matrix, call
from chainrule.program.cuda.device import CannotCaptureError

# cublasLtMatmulDescAttributes_t, cublasLtEpilogue_t.
TRANSPOSE_A, TRANSPOSE_B, EPILOGUE, BIAS_POINTER = 3, 4, 7, 8
BIAS: Final = 4
RELU_BIAS: Final = 6
# cublasLtMatmulPreferenceAttributes_t; the alignments of A, B, C and D.
WORKSPACE, REDUCTION, ALIGNMENTS = 1, 3, (5, 6, 7, 8)
# cublasLtReductionScheme_t: parts of a sum are kept in float32, in the workspace.
IN_COMPUTE_TYPE: Final = 2
MOST_ALIGNED: Final = 256  # bytes; cuBLASLt never requires more
# cublasLtMatmulHeuristicResult_t is 96 bytes, of which the first 64 are the algorithm.
HEURISTIC: Final = ctypes.c_uint64 * 12


def alignment(address: int) -> int:
    """Return the largest power of 2, at most 256, that divides an address.

    Examples
    --------
    >>> alignment(48), alignment(4096)
    (16, 256)
    """
    return min(address & -address, MOST_ALIGNED)


class LtProduct:
    """``out <- A @ B + bias``, or the relu of it, as one call.

    Parameters
    ----------
    library
        libcublasLt, or a library with the same functions.
    cublas
        Its handle, stream and workspace are used: a cuBLAS handle is also one of cuBLASLt.
    matrices
        ``A``, ``B`` and ``out``, of one dtype.
    bias
        The address of a number for each column of ``out``, of the same dtype.
    relu
        Whether negative results become 0.

    Raises
    ------
    CannotCaptureError
        If cuBLASLt has no algorithm for it, or the bias does not begin at a multiple of 16 bytes.
    """

    def __init__(
        self, library: Any, cublas: Cublas, matrices: Sequence[Matrix], bias: int, *, relu: bool
    ) -> None:
        # The heuristic does not ask for the alignment of the bias, but may choose a kernel that reads 16 bytes at once.
        if bias % 16:
            msg = "its bias does not begin at a multiple of 16 bytes"
            raise CannotCaptureError(msg)
        self._library, self._cublas = library, cublas
        A, B, out = matrices
        compute, number = cublas.compute(A, out)
        self._one, self._zero = number(1.0), number(0.0)
        self._product = self._new(
            "MatmulDesc", compute, TYPES["float64" if number is ctypes.c_double else "float32"]
        )
        # cuBLASLt is column-major: it computes out' = B' A', and the bias has one number per row of out'.
        self._set("MatmulDesc", self._product, TRANSPOSE_A, ctypes.c_int(B.turned))
        self._set("MatmulDesc", self._product, TRANSPOSE_B, ctypes.c_int(A.turned))
        self._set("MatmulDesc", self._product, EPILOGUE, ctypes.c_int(RELU_BIAS if relu else BIAS))
        self._set("MatmulDesc", self._product, BIAS_POINTER, ctypes.c_void_p(bias))
        # B, A, then C, which is multiplied by 0, and the result D.
        self._matrices = B, A, out, out
        of_B, of_A, of_out = map(self._layout, (B, A, out))
        self._layouts = of_B, of_A, of_out, of_out
        self._algorithm = self._chosen()

    def __call__(self, _kept: object = None) -> None:
        """Launch it; a call keeps its arguments, such as the arrays whose addresses are used here."""
        addresses = [ctypes.c_void_p(matrix.address) for matrix in self._matrices]
        B, A, old, out = zip(addresses, self._layouts, strict=True)
        self._call(
            "Matmul", self._cublas.handle, self._product, ctypes.byref(self._one), *B, *A,
            ctypes.byref(self._zero), *old, *out, ctypes.byref(self._algorithm),
            *self._cublas.workspace, self._cublas.stream,
        )  # fmt: skip

    def _layout(self, matrix: Matrix) -> ctypes.c_void_p:
        down, along = matrix.columns, matrix.rows
        if matrix.turned:
            down, along = along, down
        shape = ctypes.c_uint64(down), ctypes.c_uint64(along), ctypes.c_int64(matrix.stride)
        return self._new("MatrixLayout", TYPES[matrix.dtype], *shape)

    def _chosen(self) -> ctypes.Array[ctypes.c_uint64]:
        """Return the algorithm that cuBLASLt's heuristic puts first."""
        preference, heuristic, count = self._new("MatmulPreference"), HEURISTIC(), ctypes.c_int()
        for attribute, matrix in zip(ALIGNMENTS, self._matrices, strict=True):
            aligned = alignment(matrix.address)
            self._set("MatmulPreference", preference, attribute, ctypes.c_uint32(aligned))
        self._set("MatmulPreference", preference, REDUCTION, ctypes.c_uint32(IN_COMPUTE_TYPE))
        _, nbytes = self._cublas.workspace
        self._set("MatmulPreference", preference, WORKSPACE, ctypes.c_uint64(nbytes.value))
        self._call(
            "MatmulAlgoGetHeuristic", self._cublas.handle, self._product, *self._layouts, preference,
            1, ctypes.byref(heuristic), ctypes.byref(count),
        )  # fmt: skip
        if not count.value:
            msg = "cuBLASLt has no algorithm for it"
            raise CannotCaptureError(msg)
        return heuristic

    def _new(self, kind: str, *settings: Any) -> ctypes.c_void_p:
        """Return a new descriptor, which is destroyed with this product."""
        descriptor = ctypes.c_void_p()
        self._call(f"{kind}Create", ctypes.byref(descriptor), *settings)
        destroy = getattr(self._library, f"cublasLt{kind}Destroy")
        weakref.finalize(self, destroy, descriptor).atexit = False
        return descriptor

    def _set(self, kind: str, descriptor: ctypes.c_void_p, attribute: int, value: Any) -> None:
        size = ctypes.c_size_t(ctypes.sizeof(value))
        self._call(f"{kind}SetAttribute", descriptor, attribute, ctypes.byref(value), size)

    def _call(self, function: str, *arguments: Any) -> None:
        call(self._library, f"cublasLt{function}", *arguments)
