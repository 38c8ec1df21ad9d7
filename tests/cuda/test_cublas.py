"""Products by cuBLAS's C interface: every layout, dtype and scale, against NumPy, on a stand-in that checks its calls."""

import ctypes
import gc
import weakref
from dataclasses import replace
from itertools import product

import ml_dtypes
import numpy as np
import pytest

from chainrule.program.cuda.cublas import Cublas, matrix
from chainrule.program.cuda.device import CannotCaptureError, Product
from support.cuda.device import need_device

DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}


def filled(device, rng, shape, dtype, *, turned):
    array = device.constant(rng.standard_normal(shape[::-1] if turned else shape).astype(DTYPES[dtype]))
    return array.T if turned else array


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout(stand_in, rng, dtype):
    shapes, turns = [(3, 4, 5), (1, 7, 6), (6, 1, 5), (5, 4, 1), (1, 1, 1)], (False, True)
    for (m, k, n), one, other in product(shapes, turns, turns):
        A = filled(stand_in, rng, (m, k), dtype, turned=one)
        B = filled(stand_in, rng, (k, n), dtype, turned=other)
        out = stand_in.empty((m, n), np.dtype(DTYPES[dtype]))
        function, arguments = stand_in.product(Product(A, B, out))
        function(*arguments)
        wanted = A.astype(np.float64) @ B.astype(np.float64)
        error = 2 * float(ml_dtypes.finfo(DTYPES[dtype]).eps)
        np.testing.assert_allclose(out.astype(np.float64), wanted, error, error)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_onto_what_is_there_reads_its_scale_when_it_runs(stand_in, rng, dtype):
    A, B = (filled(stand_in, rng, shape, dtype, turned=False) for shape in ((3, 4), (4, 5)))
    out, scale = stand_in.constant(np.ones((3, 5), dtype)), stand_in.constant(np.zeros((), dtype))
    function, arguments = stand_in.product(Product(A, B, out, scale, onto=True))
    scale[()] = -0.5
    function(*arguments)
    np.testing.assert_allclose(out, 1 - 0.5 * (A @ B), rtol=1e-5 if dtype == "float32" else 1e-13)
    plain = stand_in.empty((3, 5), np.dtype(dtype))
    function, arguments = stand_in.product(Product(A, B, plain))  # its 1 and 0 lie on the host again
    function(*arguments)
    np.testing.assert_allclose(plain, A @ B, rtol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize(("tf32", "dtype", "compute"), [(False, "float32", 68), (True, "float32", 77), (True, "float64", 70), (True, "bfloat16", 68)])  # fmt: skip
def test_tf32_is_for_float32_and_off_unless_asked(rng, tf32, dtype, compute):
    device = need_device(tf32=tf32)
    A, B = (filled(device, rng, (2, 2), dtype, turned=False) for _ in range(2))
    function, arguments = device.product(Product(A, B, device.empty((2, 2), np.dtype(DTYPES[dtype]))))
    function(*arguments)
    device.blas.last_compute.restype = ctypes.c_longlong
    assert device.blas.last_compute() == compute


def test_parts_of_a_16_bit_product_are_added_up_in_float32(stand_in):
    # CUBLAS_DEFAULT_MATH allows 16 bits there; with CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION it does not.
    assert stand_in.blas.math_mode(stand_in.cublas.handle) == 16


def test_what_cublas_refuses_is_an_error_with_its_name(stand_in):
    A = matrix(np.ones((2, 3), np.float32), 256, "float32")
    with pytest.raises(RuntimeError, match="cublasGemmEx failed with cuBLAS's status 7, invalid value"):
        stand_in.cublas.multiply(A, A, replace(A, stride=1))  # rows that overlap
    with pytest.raises(
        CannotCaptureError, match="cublasSetWorkspace failed"
    ):  # training is replayed then
        Cublas(stand_in.blas, 0, (255, 4096))


@pytest.mark.parametrize(("status", "error"), [(3, MemoryError), (1, CannotCaptureError)])
def test_no_memory_for_a_handle_is_a_memory_error(stand_in, status, error):
    with pytest.raises(error, match=f"cublasCreate failed with cuBLAS's status {status}"):
        Cublas(Refusing(stand_in.blas, status), 0, (0, 0))


class Refusing:
    """cuBLAS, but that it makes no handle."""

    def __init__(self, library, status):
        self._library, self._status = library, status

    def __getattr__(self, name):
        return (lambda *_: self._status) if name == "cublasCreate_v2" else getattr(self._library, name)


def test_stream_and_workspace_live_until_the_handle_is_destroyed(stand_in):
    owner = type("Owner", (), {})()
    alive = weakref.ref(owner)
    cublas = Cublas(stand_in.blas, 0, (stand_in._workspace.ctypes.data, 4096), owners=(owner,))
    del owner
    gc.collect()
    assert alive() is not None
    del cublas
    gc.collect()
    assert alive() is None


def test_what_is_no_cublas_and_a_matrix_with_gaps_both_ways_are_named():
    with pytest.raises(CannotCaptureError, match="lacks cublasCreate_v2"):
        Cublas(object(), 0, (0, 0))
    with pytest.raises(CannotCaptureError, match=r"strides \(96, 16\)"):
        matrix(np.ones((4, 6, 2))[:, :, 0], 0, "float64")
