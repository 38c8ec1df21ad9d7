"""Activations as users write them, with functions of the standard, and the mean of all of them."""

from chainrule.mathematics.activations import Activation
from chainrule.mathematics.arrays import namespace


def _mish_slope(xp, Z, _):
    T = xp.tanh(xp.log1p(xp.exp(Z)))
    return T + Z * (1.0 - xp.pow(T, 2)) / (1.0 + xp.exp(-Z))


def _silu_slope(xp, Z, A):
    s = 1.0 / (1.0 + xp.exp(-Z))
    return s + A * (1.0 - s)


_PAIRS = {  # the value, of xp and Z, and the derivative, of xp, Z and A
    "leaky relu": (
        lambda xp, Z: xp.where(Z > 0, Z, 0.1 * Z),
        lambda xp, Z, _: xp.where(Z > 0, xp.ones_like(Z), xp.full_like(Z, 0.1)),
    ),
    "elu": (
        lambda xp, Z: xp.where(Z > 0, Z, xp.expm1(xp.minimum(Z, xp.zeros_like(Z)))),
        lambda xp, Z, A: xp.where(Z <= 0, A + 1.0, xp.ones_like(Z)),
    ),
    "selu": (
        lambda xp, Z: 1.0507 * xp.where(Z > 0, Z, 1.6733 * xp.expm1(-abs(Z))),
        lambda xp, Z, _: 1.0507 * xp.where(Z > 0, xp.ones_like(Z), 1.6733 * xp.exp(-abs(Z))),
    ),
    "silu": (lambda xp, Z: Z / (1.0 + xp.exp(-Z)), _silu_slope),
    "mish": (lambda xp, Z: Z * xp.tanh(xp.log1p(xp.exp(Z))), _mish_slope),
    "relu6": (
        lambda xp, Z: xp.clip(Z, 0, 6),
        lambda xp, Z, _: xp.astype((Z > 0) & (Z < 6), Z.dtype),
    ),
    "hard tanh": (
        lambda xp, Z: xp.clip(Z, -1.0, 1.0),
        lambda xp, Z, _: xp.astype(xp.logical_not(xp.logical_or(Z <= -1.0, Z >= 1.0)), Z.dtype),
    ),
    "hard sigmoid": (
        lambda xp, Z: xp.clip(Z / 6.0 + 0.5, 0, 1),
        lambda xp, _, A: xp.astype(xp.logical_and(A != 0, ~(A == 1)), A.dtype) / 6.0,
    ),
    "softsign": (
        lambda xp, Z: Z / (1.0 + xp.abs(Z)),
        lambda xp, Z, _: 1.0 / xp.square(1.0 + xp.abs(Z)),
    ),
    "snake": (
        lambda xp, Z: Z + xp.sin(Z) ** 2,
        lambda xp, Z, _: 1.0 + 2.0 * xp.sin(Z) * xp.cos(Z),
    ),
    "gaussian": (lambda xp, Z: xp.exp(-(Z**2)), lambda _, Z, A: -2.0 * Z * A),
    "cubic": (
        lambda xp, Z: 0.01 * Z**3 + xp.sqrt(1.0 + abs(Z)) * xp.sign(Z) + xp.floor(Z),
        lambda xp, Z, _: 0.03 * Z**2 + 0.5 / xp.sqrt(1.0 + abs(Z)),
    ),
}


def _own(name, value, slope):
    return Activation(name, lambda Z: value(namespace(Z), Z), lambda Z, A: slope(namespace(Z), Z, A))


OWN = {name: _own(name, *pair) for name, pair in _PAIRS.items()}


def _all(Z):
    return sum((f.value(Z) for f in OWN.values()), 0.0 * Z) / len(OWN)


def _all_slopes(Z, _):
    return sum((f.derivative(Z, f.value(Z)) for f in OWN.values()), 0.0 * Z) / len(OWN)


ALL_OF_THEM = Activation("all of them", _all, _all_slopes)
