"""The addresses of functions in NumPy's BLAS, for native code to call; threadpoolctl finds the library.

NumPy's wheels contain an OpenBLAS with 64-bit integers and decorated names (`scipy_cblas_sgemm64_`); a NumPy from
conda or a distribution has other names, often with 32-bit integers. If none is found (Accelerate, a static BLAS),
training uses NumPy's own functions.
"""

import ctypes
import functools
from typing import Final, NamedTuple

from threadpoolctl import ThreadpoolController

# Names with 64 take integers of 64 bits, the others of 32.
_SPELLINGS: Final = "scipy_cblas_{}64_", "cblas_{}64_", "cblas_{}_64", "scipy_cblas_{}", "cblas_{}"
_LETTERS: Final = {"float32": "s", "float64": "d"}


class Blas(NamedTuple):
    """A BLAS: the addresses of `gemm` and `gemv` for each dtype, and the width of its integers."""

    integer_bits: int
    gemm: dict[str, int]
    gemv: dict[str, int]


@functools.cache
def find_blas() -> Blas | None:
    """Return the BLAS that NumPy has loaded, or None if its functions are not found by name."""
    paths = [info["filepath"] for info in ThreadpoolController().select(user_api="blas").info()]
    paths.sort(key=lambda path: "numpy" not in path)  # SciPy's wheels bring a second one
    for path in paths:
        library = ctypes.CDLL(path)
        for spelling in _SPELLINGS:
            if hasattr(library, spelling.format("sgemm")):
                bits = 64 if "64" in spelling else 32
                return Blas(bits, *(_addresses(library, spelling, kind) for kind in ("gemm", "gemv")))
    return None


def _addresses(library: ctypes.CDLL, spelling: str, kind: str) -> dict[str, int]:
    return {
        dtype: ctypes.cast(getattr(library, spelling.format(letter + kind)), ctypes.c_void_p).value or 0
        for dtype, letter in _LETTERS.items()
    }
