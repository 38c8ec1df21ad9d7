"""Activations: pairs of a function and its derivative.

The derivative takes both the input ``Z`` and the output ``A = f(Z)``, and uses ``A`` if possible:
sigmoid' = A (1 - A) needs no second exponential, and ``Z`` need not be kept.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.naming import lookup, require


@dataclass(frozen=True)
class Activation:
    """An elementwise function with its derivative: ``A = value(Z)``, ``dA_dZ = derivative(Z, A)``.

    Parameters
    ----------
    name
        Its name in messages, tables and saved models.
    value
        ``Z (..., n, n_out) -> A (..., n, n_out)``, in the dtype of ``Z``.
    derivative
        ``Z, A -> dA_dZ (..., n, n_out)``, the diagonal of the Jacobian.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> Z = xp.asarray([[0.0, 2.0]])
    >>> A = sigmoid.value(Z)
    >>> sigmoid.derivative(Z, A)
    Array([[0.25      , 0.10499359]], dtype=array_api_strict.float64)
    """

    name: str
    value: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]

    def __post_init__(self) -> None:
        """Check that value and derivative are functions."""
        for part, arguments in (("value", "Z"), ("derivative", "Z, A")):
            function = getattr(self, part)
            problem = f"{part} of {self.name!r} is {function!r}; give a function of {arguments}"
            require(callable(function), problem, TypeError)


def _sigmoid(Z: Array) -> Array:
    # sigmoid(z) = (1 + tanh(z/2)) / 2 cannot overflow, and it saturates to exact 0 and 1 instead of denormal
    # numbers, which slow a processor down tenfold. In float32 it rounds to 0 below about z = -20. Therefore the
    # cross-entropies take logits instead of log(A), and predictions use `exact_sigmoid`.
    xp = namespace(Z)
    return 0.5 * xp.tanh(0.5 * Z) + 0.5  # (..., n, n_out)


def _exact_sigmoid(Z: Array) -> Array:
    # sigmoid(z) = exp(min(z, 0)) / (1 + exp(-|z|)): no exponential overflows, and small values keep their digits.
    xp = namespace(Z)
    return xp.exp(xp.minimum(Z, xp.zeros_like(Z))) / (1.0 + xp.exp(-xp.abs(Z)))  # (..., n, n_out)


def _sigmoid_derivative(_: Array, A: Array) -> Array:
    return A * (1.0 - A)  # (..., n, n_out)


def _tanh(Z: Array) -> Array:
    return namespace(Z).tanh(Z)  # (..., n, n_out)


def _tanh_derivative(_: Array, A: Array) -> Array:
    return 1.0 - A * A  # (..., n, n_out)


def _relu(Z: Array) -> Array:
    # maximum, not clip: in array-api-compat, CuPy's clip writes through a boolean mask.
    xp = namespace(Z)
    return xp.maximum(Z, xp.zeros_like(Z))  # (..., n, n_out)


def _relu_derivative(_: Array, A: Array) -> Array:
    # The subgradient at Z = 0 is 0, as is usual.
    return namespace(A).astype(A > 0, A.dtype)  # (..., n, n_out)


# gelu(z) = z/2 (1 + tanh(u)), u = sqrt(2/pi) (z + 0.044715 z^3)  (Hendrycks & Gimpel 2016,
# arXiv:1606.08415, section 2). The standard has no erf, so this form, within 5e-4 of the exact one,
# is the definition here, and the derivative matches it.
_GELU_SCALE = math.sqrt(2.0 / math.pi)
_GELU_CUBIC = 0.044715


def _gelu_tanh(Z: Array) -> Array:
    inner = _GELU_SCALE * (Z + _GELU_CUBIC * (Z * Z * Z))  # (..., n, n_out)
    return namespace(Z).tanh(inner)  # (..., n, n_out)


def _gelu(Z: Array) -> Array:
    return 0.5 * Z * (1.0 + _gelu_tanh(Z))  # (..., n, n_out)


def _gelu_derivative(Z: Array, _: Array) -> Array:
    T = _gelu_tanh(Z)  # (..., n, n_out)
    du_dZ = _GELU_SCALE * (1.0 + 3.0 * _GELU_CUBIC * (Z * Z))  # (..., n, n_out)
    return 0.5 * (1.0 + T) + 0.5 * Z * (1.0 - T * T) * du_dZ  # (..., n, n_out)


def _softplus(Z: Array) -> Array:
    # log(1 + exp(z)) = max(z, 0) + log1p(exp(-|z|)): no exponential overflows.
    xp = namespace(Z)
    return xp.maximum(Z, xp.zeros_like(Z)) + xp.log1p(xp.exp(-xp.abs(Z)))  # (..., n, n_out)


def _softplus_derivative(_: Array, A: Array) -> Array:
    # sigmoid(z) = 1 - exp(-softplus(z)), and expm1 keeps its digits where A is small.
    return -namespace(A).expm1(-A)  # (..., n, n_out)


def _identity(Z: Array) -> Array:
    return Z


def _identity_derivative(Z: Array, _: Array) -> Array:
    return namespace(Z).ones_like(Z)  # (..., n, n_out)


sigmoid = Activation("sigmoid", _sigmoid, _sigmoid_derivative)
# The sigmoid with a relative error of a few roundings, for predictions: small probabilities keep their digits.
exact_sigmoid = Activation("sigmoid", _exact_sigmoid, _sigmoid_derivative)
tanh = Activation("tanh", _tanh, _tanh_derivative)
relu = Activation("relu", _relu, _relu_derivative)
gelu = Activation("gelu", _gelu, _gelu_derivative)
softplus = Activation("softplus", _softplus, _softplus_derivative)
identity = Activation("identity", _identity, _identity_derivative)

ACTIVATIONS = {f.name: f for f in (sigmoid, tanh, relu, gelu, softplus, identity)}


def activation(choice: str | Activation) -> Activation:
    """Return the activation with this name; an :class:`Activation` is returned unchanged.

    Parameters
    ----------
    choice : str or Activation
        A name, such as "relu", or an activation of your own.

    Returns
    -------
    Activation
        The function and its derivative.

    Raises
    ------
    ValueError
        If no activation has the name; the message suggests the nearest one.

    Examples
    --------
    >>> activation("relu").name
    'relu'
    >>> activation("rleu")
    Traceback (most recent call last):
    ...
    ValueError: unknown activation 'rleu'; did you mean 'relu'? (known: gelu, identity, relu, sigmoid, softplus, tanh)
    """
    return lookup("activation", choice, Activation, ACTIVATIONS)
