"""Initializers: weights and biases drawn by NumPy on the host, so that they are equal on every backend.

The standard has no random numbers, and libraries draw different ones. The same seed gives the same start.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from types import FunctionType
from typing import Any, Protocol

import numpy as np

from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.layers import Dense
from chainrule.mathematics.naming import lookup, require


class RandomSource(Protocol):
    """A source of random numbers: a ``Generator``, a ``RandomState``, or ``numpy.random`` itself."""

    def standard_normal(self, size: tuple[int, ...]) -> np.ndarray:
        """Return samples of the normal distribution with mean 0 and variance 1.

        Parameters
        ----------
        size : tuple of int
            The shape of the result.

        Returns
        -------
        ndarray
            Samples of the shape ``size``, float64.
        """

    def uniform(self, low: float, high: float, size: tuple[int, ...]) -> np.ndarray:
        """Return samples of the uniform distribution over ``[low, high)``.

        Parameters
        ----------
        low, high : float
            The bounds; ``low`` is included, ``high`` is not.
        size : tuple of int
            The shape of the result.

        Returns
        -------
        ndarray
            Samples of the shape ``size``, float64.
        """


Initializer = Callable[[RandomSource, int, int], np.ndarray]


def standard_normal(source: RandomSource, n_in: int, n_out: int) -> np.ndarray:
    """Return normal weights with mean 0 and variance 1.

    Parameters
    ----------
    source : RandomSource
        The random numbers.
    n_in, n_out : int
        The number of inputs and of outputs of the layer.

    Returns
    -------
    ndarray
        ``W (n_in, n_out)``, float64.

    Examples
    --------
    >>> standard_normal(np.random.default_rng(0), 2, 1).round(4)
    array([[ 0.1257],
           [-0.1321]])
    """
    return source.standard_normal((n_in, n_out))


def glorot_uniform(source: RandomSource, n_in: int, n_out: int) -> np.ndarray:
    """Return weights that are uniform over ±sqrt(6 / (n_in + n_out)).

    This keeps the variance of activations and gradients constant through nearly linear layers (Glorot & Bengio
    2010, AISTATS, equation 16).

    Parameters
    ----------
    source : RandomSource
        The random numbers.
    n_in, n_out : int
        The number of inputs and of outputs of the layer.

    Returns
    -------
    ndarray
        ``W (n_in, n_out)``, float64.

    Examples
    --------
    >>> W = glorot_uniform(np.random.default_rng(0), 100, 50)
    >>> W.shape, bool(abs(W).max() <= math.sqrt(6 / 150))
    ((100, 50), True)
    """
    limit = math.sqrt(6.0 / (n_in + n_out))
    return source.uniform(-limit, limit, (n_in, n_out))


def he_normal(source: RandomSource, n_in: int, n_out: int) -> np.ndarray:
    """Return normal weights with mean 0 and variance 2 / n_in.

    The factor 2 compensates for the half of its input that a relu drops (He et al. 2015, arXiv:1502.01852,
    equation 10; not truncated).

    Parameters
    ----------
    source : RandomSource
        The random numbers.
    n_in, n_out : int
        The number of inputs and of outputs of the layer.

    Returns
    -------
    ndarray
        ``W (n_in, n_out)``, float64.

    Examples
    --------
    >>> W = he_normal(np.random.default_rng(0), 200, 500)
    >>> W.shape, round(float(W.var()), 3)
    ((200, 500), 0.01)
    """
    return math.sqrt(2.0 / n_in) * source.standard_normal((n_in, n_out))


def zeros(_source: RandomSource, _n_in: int, n_out: int) -> np.ndarray:
    """Return biases of 0.

    Parameters
    ----------
    _source : RandomSource
        Not used; all initializers take the same arguments.
    _n_in : int
        Not used either.
    n_out : int
        The number of outputs of the layer.

    Returns
    -------
    ndarray
        ``b (1, n_out)``, float64.

    Examples
    --------
    >>> zeros(np.random.default_rng(0), 2, 3)
    array([[0., 0., 0.]])
    """
    return np.zeros((1, n_out))


def uniform(source: RandomSource, n_in: int, n_out: int) -> np.ndarray:
    """Return biases that are uniform over ±1 / sqrt(n_in), as in PyTorch's ``Linear``.

    Units with similar weights then bend at different places: with one input and biases of 0, all bend at 0.

    Parameters
    ----------
    source : RandomSource
        The random numbers.
    n_in, n_out : int
        The number of inputs and of outputs of the layer.

    Returns
    -------
    ndarray
        ``b (1, n_out)``, float64.

    Examples
    --------
    >>> b = uniform(np.random.default_rng(0), 4, 1000)
    >>> b.shape, bool(abs(b).max() <= 0.5)
    ((1, 1000), True)
    """
    limit = 1.0 / math.sqrt(n_in)
    return source.uniform(-limit, limit, (1, n_out))


BIAS_INITIALIZERS: dict[str, Initializer] = {"zeros": zeros, "uniform": uniform}

_OF_WEIGHTS = standard_normal, glorot_uniform, he_normal
INITIALIZERS: dict[str, Initializer] = {function.__name__: function for function in _OF_WEIGHTS}

# The default initializer of an activation; "glorot_uniform" for the others. The sigmoid networks of textbooks start
# standard normal; the others follow the papers above.
DEFAULTS = {"sigmoid": "standard_normal"} | dict.fromkeys(("relu", "gelu", "softplus"), "he_normal")


def initializer(choice: str | Initializer | None, activation: str) -> Initializer:
    """Return the initializer with this name, or the default for this activation.

    Parameters
    ----------
    choice : str, callable or None
        A name, or ``source, n_in, n_out -> W (n_in, n_out)``; ``None`` is the default.
    activation : str
        The name of the layer's activation.

    Returns
    -------
    callable
        ``source, n_in, n_out -> W (n_in, n_out)``.

    Raises
    ------
    ValueError
        If no initializer has the name; the message suggests the nearest one.

    Examples
    --------
    >>> initializer(None, "relu").__name__
    'he_normal'
    """
    name = DEFAULTS.get(activation, "glorot_uniform") if choice is None else choice
    return _named("initializer", name, INITIALIZERS)


def _named(what: str, choice: str | Initializer, table: dict[str, Initializer]) -> Initializer:
    named: Any = choice if callable(choice) else lookup(what, choice, FunctionType, table)
    return named  # type: ignore[no-any-return]


def draw(
    net: Architecture,
    choice: str | Initializer | None = None,
    seed: int | None = None,
    biases: str | Initializer = "zeros",
) -> np.ndarray:
    """Return the initial parameters ``(P,)``, float64.

    Parameters
    ----------
    net
        The shapes and, for the defaults, the activations.
    choice
        The initializer of every layer; by default the one for its activation.
    seed
        Equal seeds give equal starts. ``None`` draws from NumPy's global state, layer by layer, as short scripts
        do: ``numpy.random.seed`` then makes it repeatable.
    biases
        "zeros", "uniform", or a function that draws ``(1, n_out)``. Biases are drawn after all weights, so that
        the weights do not depend on them.

    Returns
    -------
    ndarray
        ``(P,)``, float64.

    Raises
    ------
    ValueError
        If a name is unknown, or your own initializer draws another shape.

    Examples
    --------
    >>> from chainrule.mathematics.architecture import architecture
    >>> draw(architecture((2, 1, 1)), seed=0).round(4)
    array([ 0.1257, -0.1321,  0.6404,  0.    ,  0.    ])
    """
    source: RandomSource = np.random if seed is None else np.random.default_rng(seed)
    shapes = list(pairwise(net.sizes))
    of_weights = [initializer(choice, function.name) for function in net.activations]
    of_bias = _named("bias_initializer", biases, BIAS_INITIALIZERS)
    W = [_drawn(f, source, shape, shape) for f, shape in zip(of_weights, shapes, strict=True)]
    b = [_drawn(of_bias, source, shape, (1, shape[1])) for shape in shapes]
    theta: np.ndarray = net.layout.join(list(map(Dense, W, b)))  # (P,)
    return theta


def _drawn(
    function: Initializer, source: RandomSource, layer: tuple[int, int], shape: tuple[int, int]
) -> np.ndarray:
    """Return the array that an initializer draws for a layer ``(n_in, n_out)``, and check its shape."""
    drawn = function(source, *layer)
    problem = f"the initializer drew an array of shape {drawn.shape}, wanted {shape}"
    require(drawn.shape == shape, problem)
    return drawn
