"""Dropout: masks computed from a key, so that they are the same on every backend.

The standard has no random numbers, and masks drawn on the host would have to be copied at every step. So a mask
is a hash of each element's place (layer, row, column) and of the step's key: integer operations with the same
result in every library, to the bit. The keys are drawn on the host, one for each step.

The hash of the places is the same at every step, so a traced step keeps it as a constant.
"""

from chainrule.mathematics.arrays import Array, arange, namespace

Key = Array | None  # int32, 0-d: the dropout key of a step; None drops nothing

_MULTIPLIERS = (0x7FEB352D, 0x846CA68B - 2**32)  # as signed 32-bit integers
_SHIFTS = (16, 15, 16)
_LAYER_STRIDE = 0x9E3779B9  # 2**32 over the golden ratio, so that layers start far apart


def _shifted(H: Array, bits: int) -> Array:
    # In the Array API standard, >> of signed integers is arithmetic; the mask makes the shift a logical one.
    return (H >> bits) & (2 ** (32 - bits) - 1)


def _hash(H: Array) -> Array:
    """Return a hash of 32-bit integers: "lowbias32" (C. Wellons, github.com/skeeto/hash-prospector)."""
    H = H ^ _shifted(H, _SHIFTS[0])
    H = H * _MULTIPLIERS[0]  # wraps modulo 2**32 in every library
    H = H ^ _shifted(H, _SHIFTS[1])
    H = H * _MULTIPLIERS[1]
    return H ^ _shifted(H, _SHIFTS[2])


def dropout_mask(A: Array, key: Array, rate: float, layer: int, first_row: int = 0) -> Array:
    """Return ``M (n, n_out)``: 0 with probability ``rate``, else ``1 / (1 - rate)``.

    Multiplying by ``M`` drops units and keeps the expected value (inverted dropout: Srivastava et al. 2014,
    JMLR 15, section 10).

    Parameters
    ----------
    A
        ``(..., n, n_out)``: the activations to mask. The mask has their dtype and device; all leading
        dimensions share one mask.
    key
        int32, 0-d: a different one at every step.
    rate
        The probability of dropping a unit, in [0, 1).
    layer
        The number of the layer, from 0.
    first_row
        The first row of ``A`` in the batch, if ``A`` is only some rows of it.

    Returns
    -------
    Array
        ``M (n, n_out)``, in the dtype of ``A``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> M = dropout_mask(xp.ones((2, 4)), xp.asarray(7, dtype=xp.int32), rate=0.5, layer=0)
    >>> M
    Array([[2., 0., 2., 0.],
           [0., 2., 2., 0.]], dtype=array_api_strict.float64)
    """
    xp = namespace(A, key)
    n, n_out = A.shape[-2:]
    # Indices are counted from a start for each layer; below 2**31 elements, none of them overflows.
    start = (layer * _LAYER_STRIDE) % 2**31 - 2**31 + first_row * n_out
    place = start + arange(n * n_out, like=A)  # (n * n_out,)
    place = xp.reshape(place, (n, n_out))  # (n, n_out)
    H = _hash(_hash(place) ^ key)  # (n, n_out)   uniform over the int32
    kept = round(rate * 2**32) - 2**31 <= H  # (n, n_out)
    return xp.astype(kept, A.dtype) * (1.0 / (1.0 - rate))  # (n, n_out)


def dropped(A: Array, mask: Array) -> Array:
    """Return ``A * M``: the activations that are kept, scaled up.

    Parameters
    ----------
    A : Array
        ``(..., n, n_out)``: the activations.
    mask : Array
        ``(n, n_out)``: ``M``, from :func:`dropout_mask`.

    Returns
    -------
    Array
        ``A_kept (..., n, n_out)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> dropped(xp.asarray([[3.0, 4.0]]), xp.asarray([[0.0, 2.0]]))
    Array([[0., 8.]], dtype=array_api_strict.float64)
    """
    A_kept = A * mask  # (..., n, n_out)
    return A_kept  # noqa: RET504  a step is explained by the names of its variables
