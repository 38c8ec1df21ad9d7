"""exp, expm1, log, log1p and tanh over `Lanes`: no branches, no tables, no calls, so a vector at a time.

Every function handles NaN, infinities, signed zeros, denormals and overflow. "Error" in a docstring is the
largest one in `tests/program/test_native_elementary.py`, in units in the last place (ulp) of the exact result: float32 on a
dense sweep of bit patterns against float64, float64 on samples against mpmath.

Reductions and the float64 coefficients are those of FreeBSD's msun (fdlibm, Sun Microsystems 1993: e_exp.c, e_log.c,
s_log1p.c); the float32 polynomial of exp is that of Cephes' expf (S. Moshier). tanh by expm1 was measured as fast as the
rational function of Eigen and XLA, and twice as exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import and_, invert, methodcaller, or_
from typing import Final

from chainrule.program.native.writer import Lanes, is_float


@dataclass(frozen=True)
class _Format:
    """Constants of a floating-point type: its layout, its range, ln 2 in two parts, coefficients."""

    mantissa_bits: int
    rounder: float  # 1.5 * 2**mantissa_bits: adding it rounds to an integer, left in the low bits
    exp_low: float  # exp is 0 below
    exp_high: float  # exp is inf above
    expm1_low: float  # expm1 is -1 below
    ln2_high: float
    ln2_low: float
    smallest_normal: float
    sqrt_half_bits: int  # the bits of sqrt(1/2); mantissas are in [sqrt(1/2), sqrt(2))
    log_coefficients: tuple[float, ...]


_FORMATS: Final = {
    "float32": _Format(
        23, 1.5 * 2.0**23, -104.0, 89.0, -18.0, 6.9313812256e-01, 9.0580006145e-06, 2.0**-126, 0x3F3504F3,
        (0.66666662693, 0.40000972152, 0.28498786688, 0.24279078841),
    ),
    "float64": _Format(
        52, 1.5 * 2.0**52, -746.0, 710.0, -38.0, 6.93147180369123816490e-01, 1.90821492927058770002e-10, 2.0**-1022,
        0x3FE6A09E667F3BCD,
        (6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01, 2.222219843214978396e-01,
         1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01),
    ),
}  # fmt: skip

_EXP_FLOAT32: Final = (
    5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3, 1.9875691500e-4,
)  # fmt: skip
_EXP_FLOAT64: Final = (
    1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
    -1.65339022054652515390e-06, 4.13813679705723846039e-08,
)  # fmt: skip


# tanh(x) = x + x s P(s) / Q(s), s = x², below 5/8 (Cephes, tanh.c)
_TANH_ABOVE: Final = (-1.61468768441708447952e3, -9.92877231001918586564e1, -9.64399179425052238628e-1)
_TANH_BELOW: Final = (4.84406305325125486048e3, 2.23548839060100448583e3, 1.12811678491632931402e2, 1.0)


def _polynomial(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """Return c[0] + c[1] x + c[2] x² + … by Horner's rule."""
    total = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total.times_plus(x, coefficient)
    return total


def _power_of_two(n: Lanes, dtype: str) -> Lanes:
    """Return 2**n for integer lanes n within the normal exponents."""
    layout = _FORMATS[dtype]
    bias = 127 if dtype == "float32" else 1023
    return ((n + bias) << layout.mantissa_bits).from_bits(dtype)


def _reduced_expm1(x: Lanes) -> tuple[Lanes, Lanes]:
    """Return n and expm1(r) where x = n ln2 + r, n is an integer and |r| ≤ ln2 / 2."""
    layout = _FORMATS[x.dtype]
    shifted = x.times_plus(1.0 / math.log(2.0), layout.rounder)
    n = shifted.bits() - x.constant(layout.rounder).bits()
    whole = shifted - layout.rounder
    high = whole.times_plus(-layout.ln2_high, x)
    if x.dtype == "float32":
        r = whole.times_plus(-layout.ln2_low, high)
        return n, (r * r).times_plus(_polynomial(r, _EXP_FLOAT32), r)
    low = whole * layout.ln2_low
    r = high - low
    c = r - (r * r) * _polynomial(r * r, _EXP_FLOAT64)
    # e^r = 1 + r + r c / (2 - c); `low` is added last, so that it is not lost
    return n, high - (low - (r * c) / (2.0 - c))


def exp(x: Lanes) -> Lanes:
    """Return e^x = 2^n e^r. Error: float32 0.97 ulp, float64 0.78."""
    layout = _FORMATS[x.dtype]
    x = (x > layout.exp_high).where(layout.exp_high, x)
    x = (x < layout.exp_low).where(layout.exp_low, x)
    n, em = _reduced_expm1(x)
    half = n >> 1  # 2^n in two factors: at both ends of the range, 2^n is not a normal number
    return ((em + 1.0) * _power_of_two(half, x.dtype)) * _power_of_two(n - half, x.dtype)


def expm1(x: Lanes) -> Lanes:
    """Return e^x - 1 = 2 (2^(n-1) expm1(r) + 2^(n-1) - 1/2), exact for small x. Error: float32 1.38 ulp, float64 1.41."""
    layout = _FORMATS[x.dtype]
    bounded = (x > layout.exp_high).where(layout.exp_high, x)
    bounded = (x < layout.expm1_low).where(layout.expm1_low, bounded)
    n, em = _reduced_expm1(bounded)
    half_scale = _power_of_two(n - 1, x.dtype)  # n may be one above the largest exponent
    value = half_scale.times_plus(em, half_scale - 0.5) * 2.0
    return (abs(x) < 2.0 ** -(layout.mantissa_bits + 2)).where(x, value)  # keeps -0 and denormals


def _split(x: Lanes) -> tuple[Lanes, Lanes]:
    """Return e, as floats, and m in [sqrt(1/2), sqrt(2)) with x = 2^e m, for positive normal x."""
    layout = _FORMATS[x.dtype]
    offset = x.bits() - layout.sqrt_half_bits
    mantissa = (offset & (2**layout.mantissa_bits - 1)) + layout.sqrt_half_bits
    return (offset >> layout.mantissa_bits).astype(x.dtype), mantissa.from_bits(x.dtype)


def _log_of_split(e: Lanes, f: Lanes, correction: Lanes | float) -> Lanes:
    """Return e ln2 + log(1 + f) + correction, for 1 + f in [sqrt(1/2), sqrt(2)).

    log(1 + f) = f - f²/2 + s (f²/2 + R(s²)) with s = f / (2 + f)  (fdlibm, e_log.c).
    """
    layout = _FORMATS[f.dtype]
    s = f / (f + 2.0)
    half_square = f * f * 0.5
    R = s * s * _polynomial(s * s, layout.log_coefficients)
    small = s.times_plus(half_square + R, e.times_plus(layout.ln2_low, correction))
    return e.times_plus(layout.ln2_high, f - (half_square - small))


def log(x: Lanes) -> Lanes:
    """Return the natural logarithm; log(0) = -inf, log(x < 0) = NaN. Error: float32 0.79 ulp, float64 0.75."""
    layout = _FORMATS[x.dtype]
    tiny = x < layout.smallest_normal
    e, m = _split(tiny.where(x * 2.0**layout.mantissa_bits, x))
    e = e - tiny.where(e.constant(layout.mantissa_bits), 0.0)
    value = _log_of_split(e, m - 1.0, 0.0)
    value = (x < math.inf).where(value, x)  # inf and NaN are unchanged
    value = (x == 0.0).where(-math.inf, value)
    return (x < 0.0).where(math.nan, value)


def log1p(x: Lanes) -> Lanes:
    """Return log(1 + x), exact for small x; log1p(-1) = -inf, log1p(x < -1) = NaN. Error: float32 0.76 ulp, float64 0.78."""
    u = x + 1.0
    e, m = _split(u)
    at_one = e == 0.0
    lost = (x > 1.0).where(1.0 - (u - x), x - (u - 1.0))  # the rounding error of 1 + x
    f = at_one.where(x, m - 1.0)
    value = _log_of_split(e, f, at_one.where(0.0, lost / u))
    is_tiny = abs(x) < 2.0 ** -(_FORMATS[x.dtype].mantissa_bits + 2)
    value = is_tiny.where(x, value)  # keeps -0 and denormals
    value = (x < math.inf).where(value, x)
    value = (x == -1.0).where(-math.inf, value)
    return (x < -1.0).where(math.nan, value)


def tanh(x: Lanes) -> Lanes:
    """Return tanh(x), with the sign of x; it saturates to exactly ±1. Error: float32 2.47 ulp, float64 1.26.

    ``-t / (t + 2)`` with ``t = expm1(-2|x|)``; in float64, where that loses a bit, a rational function
    below 5/8 and ``1 - 2 / (e^(2|x|) + 1)`` above (Cephes, tanh.c).
    """
    layout, size = _FORMATS[x.dtype], abs(x)
    if x.dtype == "float64":
        s = x * x
        below = size.times_plus(s * _polynomial(s, _TANH_ABOVE) / _polynomial(s, _TANH_BELOW), size)
        above = 1.0 - x.constant(2.0) / (exp(size * 2.0) + 1.0)
        return (size < 0.625).where(below, above).call("copysign", x)
    twice = size * -2.0
    n, em = _reduced_expm1((twice < layout.expm1_low).where(layout.expm1_low, twice))
    scale = _power_of_two(n, x.dtype)
    t = scale.times_plus(em, scale - 1.0)
    return (-t / (t + 2.0)).call("copysign", x)


# sin and cos: x = n pi/2 + r with |r| <= pi/4, and a polynomial of r for each parity of n (fdlibm, e_rem_pio2.c,
# k_sin.c, k_cos.c). pi/2 is the sum of three parts; n times each of the first two is exact.
_LARGEST_REDUCED: Final = 2.0**20
_HALF_PI: Final = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
_SIN: Final = (
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10,
)  # fmt: skip
_COS: Final = (
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11,
)  # fmt: skip


def sin(x: Lanes) -> Lanes:
    """Return the sine of x, with the sign of a zero. Error: float32 0.57 ulp, float64 0.79."""
    value = x.rarely(abs(x) > _LARGEST_REDUCED, "sin", _of_quadrant(x.astype("float64"), 0))
    return (abs(x) < 2.0**-27).where(x, value)


def cos(x: Lanes) -> Lanes:
    """Return the cosine of x. Error: float32 0.57 ulp, float64 0.79."""
    return x.rarely(abs(x) > _LARGEST_REDUCED, "cos", _of_quadrant(x.astype("float64"), 1))


def _of_quadrant(x: Lanes, shift: int) -> Lanes:
    """Return sin(x + shift pi/2) in float64, which is exact enough for float32 as well."""
    rounder = _FORMATS["float64"].rounder
    shifted = x.times_plus(2.0 / math.pi, rounder)
    quadrant = (shifted.bits() - x.constant(rounder).bits()) + shift
    n = shifted - rounder
    first = x - n * _HALF_PI[0]
    second = first - n * _HALF_PI[1]
    low = ((first - second) - n * _HALF_PI[1]) - n * _HALF_PI[2]
    r = second + low
    rest = (second - r) + low  # the rounding error of r
    s = r * r
    half = s * 0.5
    sine = r - ((s * (rest * 0.5 - s * r * _polynomial(s, _SIN[1:])) - rest) - s * r * _SIN[0])
    one = 1.0 - half
    cosine = one + (((1.0 - one) - half) + (s * (s * _polynomial(s, _COS)) - r * rest))
    value = ((quadrant & 1) == 0).where(sine, cosine)
    return ((quadrant & 2) == 0).where(value, -value)


# The square root, rounded correctly, and the largest integer that is not larger than x: LLVM's own.
sqrt, floor = methodcaller("call", "sqrt"), methodcaller("call", "floor")
where, logical_and, logical_or, logical_not = Lanes.where, and_, or_, invert


def square(x: Lanes) -> Lanes:
    """Return x times x."""
    return x * x


def sign(x: Lanes) -> Lanes:
    """Return 1, -1, or x itself where it is 0, -0 or NaN."""
    return (x > 0).where(x.constant(1), (x < 0).where(x.constant(-1), x))


def maximum(x: Lanes, y: Lanes | float) -> Lanes:
    """Return the larger value; NaN if either is NaN."""
    return x.call("maximum", x.other(y)) if is_float(x.dtype) else (x > y).where(x, y)


def minimum(x: Lanes, y: Lanes | float) -> Lanes:
    """Return the smaller value; NaN if either is NaN."""
    return x.call("minimum", x.other(y)) if is_float(x.dtype) else (x < y).where(x, y)


def clip(x: Lanes, low: float, high: float) -> Lanes:
    """Return x limited to [low, high]; NaN remains NaN."""
    above = (x < low).where(low, x)
    return (above > high).where(high, above)


def copy(x: Lanes) -> Lanes:
    """Return x unchanged."""
    return x
