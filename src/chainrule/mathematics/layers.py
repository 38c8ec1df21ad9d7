"""The dense layer: its forward and backward pass, and the three-term chain rule. Read this file first.

The notation, here and everywhere: rows are samples. ``X (n, n_in)`` is the input, ``W (n_in, n_out)`` are
the weights, ``b (1, n_out)`` the biases, ``Z = X @ W + b``, and ``A = f(Z)`` is the output; ``Y`` are targets
and ``L`` is the scalar loss. Gradients are in Leibniz' notation: ``dL_dW`` is dL/dW.

    dL/dW = dL/dA * dA/dZ * dZ/dW

Leading dimensions are allowed everywhere: ``W (..., n_in, n_out)`` is a stack of layers.
"""

from typing import NamedTuple

from chainrule.mathematics.activations import Activation
from chainrule.mathematics.arrays import Array, namespace


class Dense(NamedTuple):
    """The parameters of a layer, or arrays of the same shapes, such as their gradients."""

    W: Array  # (..., n_in, n_out)
    b: Array  # (..., 1, n_out)


class DenseCache(NamedTuple):
    """The arrays of the forward pass that the backward pass needs."""

    X: Array  # (..., n, n_in)
    Z: Array  # (..., n, n_out)
    A: Array  # (..., n, n_out)


def dense_forward(X: Array, layer: Dense, activation: Activation) -> tuple[Array, DenseCache]:
    """Return ``A = f(X @ W + b)`` and the cache for :func:`dense_backward`.

    Parameters
    ----------
    X
        ``(..., n, n_in)``, in the dtype and on the device of the layer.
    layer
        ``W (..., n_in, n_out)`` and ``b (..., 1, n_out)``.
    activation
        The pair ``f``, ``f'``.

    Returns
    -------
    A : Array
        ``(..., n, n_out)``.
    cache : DenseCache
        ``X``, ``Z`` and ``A``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.activations import identity
    >>> layer = Dense(W=xp.asarray([[1.0], [2.0]]), b=xp.asarray([[0.5]]))
    >>> A, _ = dense_forward(xp.asarray([[3.0, 4.0]]), layer, identity)
    >>> A
    Array([[11.5]], dtype=array_api_strict.float64)
    """
    xp = namespace(X, layer.W)
    Z = xp.matmul(X, layer.W) + layer.b  # (..., n, n_out)
    A = activation.value(Z)  # (..., n, n_out)
    return A, DenseCache(X, Z, A)


def dense_backward(dL_dA: Array, cache: DenseCache, activation: Activation) -> tuple[Dense, Array]:
    """Return the gradients of a layer's parameters, and the intermediate ``dL_dZ``, by the chain rule.

    ``dL/dW = dL/dA * dA/dZ * dZ/dW``. Since dA/dZ is diagonal, the first product is elementwise. Since
    dZ/dW = X, the second one is a matrix product, which sums over the samples.

    Parameters
    ----------
    dL_dA
        ``(..., n, n_out)``: the gradient with respect to this layer's output.
    cache, activation
        The cache that :func:`dense_forward` returned, and its activation.

    Returns
    -------
    gradient : Dense
        ``dL_dW (..., n_in, n_out)`` and ``dL_db (..., 1, n_out)``.
    dL_dZ : Array
        ``(..., n, n_out)``, for :func:`dense_backward_input`.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.activations import identity
    >>> layer = Dense(W=xp.asarray([[1.0], [2.0]]), b=xp.asarray([[0.5]]))
    >>> A, cache = dense_forward(xp.asarray([[3.0, 4.0]]), layer, identity)
    >>> gradient, dL_dZ = dense_backward(xp.asarray([[10.0]]), cache, identity)
    >>> gradient.W
    Array([[30.],
           [40.]], dtype=array_api_strict.float64)
    """
    xp = namespace(dL_dA, cache.X)
    dA_dZ = activation.derivative(cache.Z, cache.A)  # (..., n, n_out)   the diagonal of the Jacobian
    dZ_dW = cache.X  # (..., n, n_in)   since Z = X @ W + b
    dZ_db = xp.ones_like(dL_dA[..., :1])  # (..., n, 1)      likewise

    dL_dZ = dL_dA * dA_dZ  # (..., n, n_out)
    dL_dW = xp.matmul(xp.matrix_transpose(dZ_dW), dL_dZ)  # (..., n_in, n_out)   sums over samples
    # One small matrix product, not sum(axis=0): the sum of a tall array over its rows runs in very few blocks
    # on a GPU, while a product is fast on every backend.
    dL_db = xp.matmul(xp.matrix_transpose(dZ_db), dL_dZ)  # (..., 1, n_out)
    return Dense(dL_dW, dL_db), dL_dZ


def dense_backward_input(dL_dZ: Array, layer: Dense) -> Array:
    """Return the gradient of a layer's input, which is the ``dL_dA`` of the layer below.

    ``dL/dX = dL/dZ * dZ/dX``, where dZ/dX = W.

    Parameters
    ----------
    dL_dZ
        ``(..., n, n_out)``, from :func:`dense_backward`.
    layer
        The parameters of the forward pass.

    Returns
    -------
    Array
        ``dL_dX (..., n, n_in)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> layer = Dense(W=xp.asarray([[1.0], [2.0]]), b=xp.asarray([[0.5]]))
    >>> dense_backward_input(xp.asarray([[10.0]]), layer)
    Array([[10., 20.]], dtype=array_api_strict.float64)
    """
    xp = namespace(dL_dZ, layer.W)
    dZ_dX = layer.W  # (..., n_in, n_out)   since Z = X @ W + b
    dL_dX = xp.matmul(dL_dZ, xp.matrix_transpose(dZ_dX))  # (..., n, n_in)
    return dL_dX  # noqa: RET504  a step is explained by the names of its variables
