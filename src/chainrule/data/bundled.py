"""Bundled data: the table of handwritten digits."""

from pathlib import Path

import numpy as np

DIGITS = Path(__file__).with_name("datasets") / "digits.npz"
"""The bundled digits as a table: ``pixel_0_0`` to ``pixel_7_7``, and ``digit``."""


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return 1797 images of handwritten digits, with 8 x 8 pixels.

    This is the test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and
    C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, licensed
    under CC BY 4.0.

    Returns
    -------
    tuple of array
        ``X (1797, 64)``, float32 from 0 to 16, the pixels of an image row by row; ``y (1797,)``, int64, the digit.

    Examples
    --------
    >>> X, y = digits()
    >>> X.shape, y[:10]
    ((1797, 64), array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]))
    """
    with np.load(DIGITS) as table:
        *pixels, digit = (table[name] for name in table.files)
    return np.stack(pixels, axis=1).astype(np.float32), digit.astype(np.int64)  # (1797, 64), (1797,)
