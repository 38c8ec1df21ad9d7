"""Directions: two vectors in the space of all parameters, along which the loss is looked at."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from chainrule.mathematics.layers import Dense
from chainrule.mathematics.parameters import Layout


class Directions(NamedTuple):
    """A plane through the parameters, and a path near it."""

    centre: np.ndarray  # (P,)
    axes: np.ndarray  # (2, P)
    names: tuple[str, str]
    path: np.ndarray | None = None  # (t, 2)   in steps along the axes


def random_directions(theta: np.ndarray, layout: Layout, seed: int) -> Directions:
    """Return two random directions, each unit's part as long as the unit's own parameters.

    ``d_unit <- d_unit / ‖d_unit‖ * ‖theta_unit‖``, the filter normalisation of Li et al. 2018,
    "Visualizing the Loss Landscape of Neural Nets" (arXiv:1712.09913, section 4), so that a step of 1
    is as far for a network of large weights as for one of small. A unit is its column of ``W`` with its
    bias: theirs leaves biases where they are, and in a small network they are much of it.

    Examples
    --------
    >>> made = random_directions(np.asarray([3.0, 4.0]), Layout((1, 1)), seed=0)
    >>> np.linalg.norm(made.axes, axis=1).round(6)
    array([5., 5.])
    """
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((2, layout.total))  # (2, P)
    axes = np.stack([_filter_normalised(d, theta, layout) for d in drawn])  # (2, P)
    return Directions(theta, axes, ("random direction 1", "random direction 2"))


def _filter_normalised(d: np.ndarray, theta: np.ndarray, layout: Layout) -> np.ndarray:
    layers = []
    for given, own in zip(layout.split(d), layout.split(theta), strict=True):
        lengths = _unit_norms(own)  # (1, n_out)
        # A unit whose parameters are all 0 would stand still: its part has length 1.
        scale = np.where(lengths > 0, lengths, 1.0) / _unit_norms(given)  # (1, n_out)
        layers.append(Dense(given.W * scale, given.b * scale))
    joined: np.ndarray = layout.join(layers)  # (P,)
    return joined


def _unit_norms(layer: Dense) -> np.ndarray:
    norms: np.ndarray = np.linalg.norm(np.concatenate([layer.W, layer.b]), axis=0, keepdims=True)
    return norms  # (1, n_out)


def main_directions(thetas: Sequence[np.ndarray]) -> Directions:
    """Return the two directions in which a path of training went farthest, seen from its end.

    The principal components of ``theta_t - theta_end`` (Li et al. 2018, section 7).

    Raises
    ------
    ValueError
        If there are fewer than 3 points, or they lie on one line: that is no plane.

    Examples
    --------
    >>> corner = [np.asarray([2.0, 0.0]), np.asarray([2.0, 1.0]), np.asarray([0.0, 1.0])]
    >>> main_directions(corner).names[0]
    'main direction 1 (95 % of the path)'
    """
    end = thetas[-1]  # (P,)
    away = np.stack(thetas) - end  # (t, P)
    _, sizes, axes = np.linalg.svd(away, full_matrices=False)  # (k,), (k, P)
    if len(thetas) < 3 or sizes[1] <= 1e-12 * sizes[0]:
        msg = f"the path of {len(thetas)} points spans no plane; give 3 or more that differ, not on one line"
        raise ValueError(msg)
    shares = sizes**2 / np.sum(sizes**2)  # (k,)
    first, second = (f"main direction {i + 1} ({100 * shares[i]:.0f} % of the path)" for i in range(2))
    return Directions(end, axes[:2], (first, second), away @ axes[:2].T)
