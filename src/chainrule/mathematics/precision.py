"""Precision: steps computed in 16 bits with weights in 32, and the scaling that keeps small gradients.

The trained weights, the loss and the update stay in float32; a copy of the weights and the samples are rounded to
16 bits for the forward and backward pass (Micikevicius et al. 2018, arXiv:1710.03740). The libraries accumulate
products of 16-bit matrices in float32.

A float16 loses digits below 6e-5 and is 0 below 6e-8, which is the size of gradients of a loss that is divided by n.
So the gradient is multiplied by a power of two before the backward pass and divided by it afterwards. The power must
not make the sum over n samples overflow (65504), either: it is the one nearest to the square root of the loss's
divisor, which leaves the same margin on both sides. A bfloat16 has the range of float32 and needs no scaling.
"""

import math

from chainrule.mathematics.arrays import Array, namespace

HALVES = ("float16", "bfloat16")


def lowered(x: Array, compute: str | None) -> Array:
    """Return ``x`` in the dtype of the computation.

    Parameters
    ----------
    x : Array
        An array of any shape.
    compute : str or None
        "float16", "bfloat16", or ``None`` to return ``x`` unchanged.

    Returns
    -------
    Array
        ``x`` in the dtype ``compute``, of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> lowered(np.asarray([1.0, 1.0001]), "float16")
    array([1., 1.], dtype=float16)
    """
    if compute is None:
        return x
    xp = namespace(x)
    return xp.astype(x, getattr(xp, compute, compute))  # CuPy knows a bfloat16 only by its name


def raised(x: Array, like: Array) -> Array:
    """Return ``x`` in the dtype of ``like``.

    Parameters
    ----------
    x : Array
        An array of any shape.
    like : Array
        An array of any shape; only its dtype is used.

    Returns
    -------
    Array
        An array of the shape of ``x``; ``x`` itself if it has that dtype already.

    Examples
    --------
    >>> import numpy as np
    >>> raised(lowered(np.ones(2), "float16"), like=np.ones(1, dtype=np.float32)).dtype
    dtype('float32')
    """
    return x if x.dtype == like.dtype else namespace(x).astype(x, like.dtype)


def loss_scale(compute: str | None, divisor: float) -> float:
    """Return the factor of the gradient in the backward pass: a power of two, which causes no rounding.

    Parameters
    ----------
    compute : str or None
        "float16", "bfloat16", or ``None``: the dtype of the computation.
    divisor : float
        The divisor of the loss.

    Returns
    -------
    float
        1.0 unless ``compute`` is "float16".

    Examples
    --------
    >>> loss_scale("float16", 4096.0), loss_scale("bfloat16", 4096.0)
    (64.0, 1.0)
    """
    if compute != "float16":
        return 1.0
    return float(2.0 ** round(math.log2(max(divisor, 1.0)) / 2))


def scaled(x: Array, scale: float) -> Array:
    """Return ``scale * x``; ``x`` itself if ``scale`` is 1.

    Parameters
    ----------
    x : Array
        An array of any shape.
    scale : float
        The factor.

    Returns
    -------
    Array
        ``scale * x``, of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> scaled(np.ones(2), 64.0)
    array([64., 64.])
    """
    return x if scale == 1.0 else scale * x
