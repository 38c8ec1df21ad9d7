"""The elementary functions against references: accuracy in ulp, and every special value."""

import numpy as np
import pytest

from support.needs import need

pytestmark = need("jit", module=True)

from chainrule.program.chains import Chain, Operand, Output, Statement
from chainrule.program.native import instructions
from chainrule.program.native.runner import StepRunner

FUNCTIONS = ("exp", "expm1", "log", "log1p", "tanh", "sin", "cos")
MAX_ULP = {
    ("exp", "float32"): 0.98, ("expm1", "float32"): 1.39, ("log", "float32"): 0.8, ("log1p", "float32"): 0.77,
    ("tanh", "float32"): 2.5, ("exp", "float64"): 0.8, ("expm1", "float64"): 1.5, ("log", "float64"): 0.8,
    ("log1p", "float64"): 0.8, ("tanh", "float64"): 2.4, ("sin", "float32"): 0.57, ("cos", "float32"): 0.57,
    ("sin", "float64"): 0.8, ("cos", "float64"): 0.8,
}  # fmt: skip
SPECIAL = [
    np.inf, -np.inf, np.nan, 0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 1e-40, -1e-40, 100.0, -100.0, -200.0, 200.0, 88.7, 88.73,
    -87.5, -103.9, -104.5, 709.7, 709.8, -745.1, -746.0, 20.0, -20.0, 1e-300, -1e-300, 5e-324, 1e30, -1e30, -2.0, 2.0**20, 2.0**21, 3.1415926,
]  # fmt: skip


def evaluate(function, x):
    """Return the function of a vector, by a kernel of one statement."""
    chain = Chain(
        (Operand("x", "full", x.dtype.name),), (Statement(function, "y", ("x",)),), (Output("y"),)
    )
    out = np.empty_like(x)
    items = [instructions.chain(chain, (x[np.newaxis],), (out[np.newaxis],))]
    StepRunner([[items]], [np.zeros(1, np.int64)])(1)
    return out


def sweep_float32():
    """Return every 4999th float32: all signs, exponents, denormals, infinities and NaNs."""
    return np.arange(0, 2**32, 4999, dtype=np.uint32).view(np.float32)


def ulp_error(got, want):
    """Return |got - want| in units of the last place of `want`, where both are finite."""
    rounded = want.astype(got.dtype)
    usable = np.isfinite(rounded) & np.isfinite(got)
    unit = np.spacing(np.abs(rounded[usable]))
    return np.abs(got[usable].astype(want.dtype) - want[usable]) / unit


@pytest.mark.parametrize("function", FUNCTIONS)
def test_float32_stays_within_its_stated_error_over_all_bit_patterns(function):
    x = sweep_float32()
    with np.errstate(all="ignore"):
        want = getattr(np, function)(x.astype(np.float64))
        got = evaluate(function, x)
        assert np.array_equal(np.isnan(got), np.isnan(want))
        assert ulp_error(got, want).max() <= MAX_ULP[function, "float32"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_float64_stays_within_its_stated_error_of_mpmath(function):
    import mpmath

    rng = np.random.default_rng(0)
    scale = 10.0 ** rng.uniform(-20, 2.5, 1000)
    x = np.concatenate([scale, -scale, rng.uniform(-0.6, 2, 1000)])
    x = np.abs(x) if function == "log" else np.maximum(x, -1 + 1e-15) if function == "log1p" else x
    got = evaluate(function, x)
    with mpmath.workdps(40):
        exact = [getattr(mpmath, function)(mpmath.mpf(float(v))) for v in x]
        errors = [
            float(abs(mpmath.mpf(float(g)) - e) / mpmath.mpf(float(np.spacing(abs(float(e))))))
            for g, e in zip(got, exact, strict=True)
            if np.isfinite(g) and abs(e) > 1e-300
        ]
    assert max(errors) <= MAX_ULP[function, "float64"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_are_numpys(dtype):
    smallest = float(np.finfo(dtype).smallest_subnormal)
    for function in FUNCTIONS:
        with np.errstate(all="ignore"):
            x = np.array(SPECIAL, dtype)
            got, want = evaluate(function, x), getattr(np, function)(x)
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(dtype).eps, atol=smallest)
        assert np.array_equal(np.signbit(got[~np.isnan(want)]), np.signbit(want[~np.isnan(want)]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_saturates_to_exactly_one(dtype):
    x = np.array(
        [9.1, 20, 88, 1e30, np.inf] if dtype == "float32" else [19.1, 20, 800, 1e300, np.inf], dtype
    )
    assert (evaluate("tanh", x) == 1).all()
    assert (evaluate("tanh", -x) == -1).all()
    assert (np.abs(evaluate("tanh", np.linspace(-30, 30, 100_001, dtype=dtype))) <= 1).all()
