"""Activations as users write them, with the functions of the standard, and one that is made of all of them."""

from chainrule.mathematics.activations import Activation
from chainrule.mathematics.arrays import namespace


def _leaky_relu(Z):
    return namespace(Z).where(Z > 0, Z, 0.1 * Z)


def _leaky_relu_slope(Z, _):
    xp = namespace(Z)
    return xp.where(Z > 0, xp.ones_like(Z), xp.full_like(Z, 0.1))


def _elu(Z):
    xp = namespace(Z)
    return xp.where(Z > 0, Z, xp.expm1(xp.minimum(Z, xp.zeros_like(Z))))


def _elu_slope(Z, A):
    xp = namespace(Z)
    return xp.where(Z <= 0, A + 1.0, xp.ones_like(Z))


def _selu(Z):
    xp = namespace(Z)
    return 1.0507 * xp.where(Z > 0, Z, 1.6733 * xp.expm1(-abs(Z)))


def _selu_slope(Z, _):
    xp = namespace(Z)
    return 1.0507 * xp.where(Z > 0, xp.ones_like(Z), 1.6733 * xp.exp(-abs(Z)))


def _silu(Z):
    return Z / (1.0 + namespace(Z).exp(-Z))


def _silu_slope(Z, A):
    s = 1.0 / (1.0 + namespace(Z).exp(-Z))
    return s + A * (1.0 - s)


def _mish(Z):
    xp = namespace(Z)
    return Z * xp.tanh(xp.log1p(xp.exp(Z)))


def _mish_slope(Z, _):
    xp = namespace(Z)
    T = xp.tanh(xp.log1p(xp.exp(Z)))
    return T + Z * (1.0 - xp.pow(T, 2)) / (1.0 + xp.exp(-Z))


def _relu6(Z):
    return namespace(Z).clip(Z, 0, 6)


def _relu6_slope(Z, _):
    return namespace(Z).astype((Z > 0) & (Z < 6), Z.dtype)


def _hard_tanh(Z):
    return namespace(Z).clip(Z, -1.0, 1.0)


def _hard_tanh_slope(Z, _):
    xp = namespace(Z)
    outside = xp.logical_or(Z <= -1.0, Z >= 1.0)
    return xp.astype(xp.logical_not(outside), Z.dtype)


def _hard_sigmoid(Z):
    return namespace(Z).clip(Z / 6.0 + 0.5, 0, 1)


def _hard_sigmoid_slope(_, A):
    xp = namespace(A)
    return xp.astype(xp.logical_and(A != 0, ~(A == 1)), A.dtype) / 6.0


def _softsign(Z):
    return Z / (1.0 + namespace(Z).abs(Z))


def _softsign_slope(Z, _):
    return 1.0 / namespace(Z).square(1.0 + namespace(Z).abs(Z))


def _snake(Z):
    xp = namespace(Z)
    return Z + xp.sin(Z) ** 2


def _snake_slope(Z, _):
    xp = namespace(Z)
    return 1.0 + 2.0 * xp.sin(Z) * xp.cos(Z)


def _gaussian(Z):
    return namespace(Z).exp(-(Z**2))


def _gaussian_slope(Z, A):
    return -2.0 * Z * A


def _cubic(Z):
    xp = namespace(Z)
    return 0.01 * Z**3 + xp.sqrt(1.0 + abs(Z)) * xp.sign(Z) + xp.floor(Z)


def _cubic_slope(Z, _):
    return 0.03 * Z**2 + 0.5 / namespace(Z).sqrt(1.0 + abs(Z))


_PAIRS = {
    "leaky relu": (_leaky_relu, _leaky_relu_slope),
    "elu": (_elu, _elu_slope),
    "selu": (_selu, _selu_slope),
    "silu": (_silu, _silu_slope),
    "mish": (_mish, _mish_slope),
    "relu6": (_relu6, _relu6_slope),
    "hard tanh": (_hard_tanh, _hard_tanh_slope),
    "hard sigmoid": (_hard_sigmoid, _hard_sigmoid_slope),
    "softsign": (_softsign, _softsign_slope),
    "snake": (_snake, _snake_slope),
    "gaussian": (_gaussian, _gaussian_slope),
    "cubic": (_cubic, _cubic_slope),
}
OWN = {name: Activation(name, *pair) for name, pair in _PAIRS.items()}


def _all(Z):
    return sum((f.value(Z) for f in OWN.values()), 0.0 * Z) / len(OWN)


def _all_slopes(Z, _):
    return sum((f.derivative(Z, f.value(Z)) for f in OWN.values()), 0.0 * Z) / len(OWN)


ALL_OF_THEM = Activation("all of them", _all, _all_slopes)
