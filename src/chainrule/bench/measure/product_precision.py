"""Precision: the rounding of the factors of float32 products, the same for every contestant.

To nothing, whatever a library would choose by itself; or, where ``CUPY_TF32=1`` asks for it, to the 10 bits of
TF32 on a CUDA device that has it.
"""

import os
from collections.abc import Mapping

ASKED = "CUPY_TF32"  # CuPy's own switch, which our CUDA kernels follow
REFUSED = "NVIDIA_TF32_OVERRIDE"  # the driver's libraries: at 0 they never round
TF32 = "tf32"
_TOLD = {
    False: {REFUSED: "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"},
    True: {"JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"},
}


def is_tf32() -> bool:
    """Return whether TF32 was asked for, and is not refused."""
    asked = os.environ.get(ASKED, "0") not in {"", "0"}
    return asked and os.environ.get(REFUSED) != "0"


def of_products(dtype: str) -> str:
    """Return what products of arrays of this dtype are computed in: the dtype, or "tf32"."""
    return TF32 if dtype == "float32" and is_tf32() else dtype


def variables() -> Mapping[str, str]:
    """Return the variables of the environment that make every library multiply like that."""
    return _TOLD[is_tf32()]
