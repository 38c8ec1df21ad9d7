"""The BLAS that NumPy is linked with, found by threadpoolctl, as addresses that native code calls.

NumPy's wheels carry an OpenBLAS of 64-bit integers whose names are decorated (`scipy_cblas_sgemm64_`); a NumPy of
conda or a distribution uses other names, often with 32-bit integers. Where none is found (Accelerate, a static BLAS),
the answer is None and the caller multiplies with NumPy.
"""

import ctypes
import functools
from typing import Final, NamedTuple

import threadpoolctl

_SPELLINGS: Final = (
    ("scipy_cblas_{}64_", 64),
    ("cblas_{}64_", 64),
    ("cblas_{}_64", 64),
    ("scipy_cblas_{}", 32),
    ("cblas_{}", 32),
)
_LETTERS: Final = {"float32": "s", "float64": "d"}


class Blas(NamedTuple):
    """Addresses of one BLAS: `gemm` and `gemv` by dtype, and the width of its integers."""

    integer_bits: int
    gemm: dict[str, int]
    gemv: dict[str, int]


@functools.cache
def find_blas() -> Blas | None:
    """Return the BLAS that NumPy has loaded, or None where its functions cannot be found by name."""
    import numpy as np  # noqa: F401  # loads the library that is looked for

    libraries = [
        info["filepath"] for info in threadpoolctl.threadpool_info() if info["user_api"] == "blas"
    ]
    libraries.sort(key=lambda path: "numpy" not in path)  # SciPy's wheels bring a second one
    for path in libraries:
        library = ctypes.CDLL(path)
        for spelling, bits in _SPELLINGS:
            if hasattr(library, spelling.format("sgemm")):
                return Blas(bits, *(_addresses(library, spelling, kind) for kind in ("gemm", "gemv")))
    return None


def _addresses(library: ctypes.CDLL, spelling: str, kind: str) -> dict[str, int]:
    return {
        dtype: ctypes.cast(getattr(library, spelling.format(letter + kind)), ctypes.c_void_p).value or 0
        for dtype, letter in _LETTERS.items()
    }
