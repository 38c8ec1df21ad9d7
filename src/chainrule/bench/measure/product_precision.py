"""Precision: how the factors of float32 products are rounded, the same for every contestant.

Not at all, whatever the default of a library; or, with ``CUPY_TF32=1``, to the 10 bits of TF32 on a CUDA device that has it.
"""

import os
from collections.abc import Mapping

TF32 = "tf32"


def is_tf32() -> bool:
    """Return whether TF32 was requested and is not refused.

    ``CUPY_TF32`` is CuPy's own switch, which our CUDA kernels follow; where ``NVIDIA_TF32_OVERRIDE`` is 0, the libraries of
    the driver never round.
    """
    is_requested = os.environ.get("CUPY_TF32", "0") not in {"", "0"}
    return is_requested and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0"


def of_products(dtype: str) -> str:
    """Return the precision of products of arrays of this dtype: the dtype, or "tf32"."""
    return TF32 if dtype == "float32" and is_tf32() else dtype


def variables() -> Mapping[str, str]:
    """Return the environment variables that make every library multiply at that precision."""
    if is_tf32():
        return {"JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1"}
    return {"NVIDIA_TF32_OVERRIDE": "0", "JAX_DEFAULT_MATMUL_PRECISION": "highest"}
