"""Parameters: all weights and biases of a network in one flat array, and the layers as parts of it.

An optimizer then needs the same number of array operations at any depth, and a checkpoint is one array. Where
slices are views (NumPy, CuPy, torch), a layer costs nothing. All weights come first, layer by layer, then the
biases, so that weight decay is an operation on one leading part.
"""

from collections.abc import Sequence
from itertools import pairwise

from chainrule.mathematics.arrays import Array, namespace, size
from chainrule.mathematics.layers import Dense


class Layout:
    """The positions of each layer's ``W`` and ``b`` in the flat parameters of a network.

    Parameters
    ----------
    sizes
        The widths ``(n_0, ..., n_L)`` from the input to the output.

    Attributes
    ----------
    shapes
        The shapes of W1, W2, ..., b1, b2, ...
    depth
        The number of layers L.
    weights, total
        The number of weights, and of all parameters P.

    Examples
    --------
    >>> layout = Layout((2, 4, 1))
    >>> layout.weights, layout.total
    (12, 17)
    >>> layout.shapes
    ((2, 4), (4, 1), (1, 4), (1, 1))
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self.shapes = (*pairwise(sizes), *((1, n_out) for n_out in sizes[1:]))
        self.depth = len(sizes) - 1
        self.weights = sum(map(size, self.shapes[: self.depth]))
        self.total = sum(map(size, self.shapes))

    @property
    def named_shapes(self) -> list[tuple[str, tuple[int, int]]]:
        """The name and shape of each parameter, in the order of the flat array."""
        numbers = range(1, self.depth + 1)
        names = [f"W{number}" for number in numbers] + [f"b{number}" for number in numbers]
        return list(zip(names, self.shapes, strict=True))

    def split(self, flat: Array) -> tuple[Dense, ...]:
        """Return the layers in ``flat``, as views if the library has views.

        Parameters
        ----------
        flat : Array
            ``(..., P)``: all weights, layer by layer, then all biases.

        Returns
        -------
        tuple of Dense
            ``W (..., n_in, n_out)`` and ``b (..., 1, n_out)`` of each layer.

        Examples
        --------
        >>> import array_api_strict as xp
        >>> layout = Layout((1, 2))
        >>> (layer,) = layout.split(xp.asarray([1.0, 2.0, 3.0, 4.0]))
        >>> layer.W, layer.b
        (Array([[1., 2.]], dtype=array_api_strict.float64), Array([[3., 4.]], dtype=array_api_strict.float64))
        >>> layout.join([layer])
        Array([1., 2., 3., 4.], dtype=array_api_strict.float64)
        """
        xp = namespace(flat)
        parts, start = [], 0
        for shape in self.shapes:
            stop = start + size(shape)
            parts.append(xp.reshape(flat[..., start:stop], (*flat.shape[:-1], *shape)))
            start = stop
        return tuple(map(Dense, parts[: self.depth], parts[self.depth :]))

    def join(self, layers: Sequence[Dense]) -> Array:
        """Return layers as one flat array, the inverse of :meth:`split`.

        Parameters
        ----------
        layers : sequence of Dense
            ``W (..., n_in, n_out)`` and ``b (..., 1, n_out)`` of each layer.

        Returns
        -------
        Array
            ``flat (..., P)``.
        """
        xp = namespace(layers[0].W)
        parts = [layer.W for layer in layers] + [layer.b for layer in layers]
        leading = layers[0].W.shape[:-2]
        return xp.concat([xp.reshape(part, (*leading, -1)) for part in parts], axis=-1)  # (..., P)
