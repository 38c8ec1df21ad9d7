"""Oracles: other ways to compute the derivative of a function, independent of the chain rule in this package.

Each differentiates the function itself: the forward pass and the loss, from the same source.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from chainrule import backends
from chainrule.backends import Backend, BackendUnavailableError
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import refusing, require
from chainrule.mathematics.step import Batch, objective
from chainrule.program.unrecordable import UnrecordableError

Objective = Callable[[Array], Array]
NAMES = ("differences", "complex step", "torch", "jax")

_LONGEST_STEP = 1e-4
_ROUNDING = 4 * np.finfo(np.float64).eps  # rounding error relative to the function's value
_COMPLEX_STEP = 1e-30  # its square vanishes in rounding; nothing is subtracted, so no digits cancel


class Oracle(NamedTuple):
    """A way to compute the derivative, and how close the derived one must be."""

    name: str
    tolerance: float  # relative to the largest entry of a parameter's gradient
    slopes: Callable[[np.ndarray], np.ndarray]  # indices (k,) into the flat parameters -> slopes (k,)


def smooth_differences(objective: Objective, theta: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return central differences ``(k,)``; NaN where no step makes the left and the right slope agree.

    ``(f(x + h) - f(x - h)) / 2h`` differs from the derivative by a term in h², and by rounding over h. In
    float64 about ten digits agree; in float32 only two or three would.

    The step is shortened until the left and right slopes agree and their mean equals that of a step ten times
    as long: features far from unit size bend the function over a shorter distance, and near a jump of the
    second derivative (as of ``relu(x)**2`` at 0) a long step is wrong by a term in h. At a kink they never
    agree. The step stays long enough for the rounding of the function not to matter.

    Parameters
    ----------
    objective : function
        Takes ``theta (P,)`` and returns a scalar.
    theta : ndarray
        ``(P,)``, float64: where to differentiate.
    places : ndarray
        ``(k,)``, integers: the indices of the parameters.

    Returns
    -------
    ndarray
        ``(k,)``.

    Examples
    --------
    >>> smooth_differences(lambda t: np.maximum(t, 0.0).sum(), np.asarray([0.0, 3.0]), np.arange(2))
    array([nan,  1.])
    """
    slopes, longer = np.full((2, len(places)), np.nan)  # each (k,)
    rough = np.arange(len(places))  # (rough,)   indices into `places` that still need a shorter step
    value, scale = abs(float(objective(theta))), 0.0
    for step in _LONGEST_STEP * 0.1 ** np.arange(7):
        rounding = _ROUNDING * value / step
        if not len(rough) or rounding > max(1e-7 * scale, 1e-10 * value):
            break
        sides = _one_sided(objective, theta, places[rough], step)  # (2, rough)
        means = np.mean(sides, axis=0)  # (rough,)
        scale = max(scale, np.abs(sides).max(initial=0.0))
        agree = np.abs(sides[0] - sides[1]) <= max(1e-4 * scale, 1e-10 * value)  # (rough,)
        agree &= np.abs(means - longer[rough]) <= 1e-6 * scale + rounding  # (rough,)
        slopes[rough[agree]] = means[agree]
        longer[rough] = means
        rough = rough[~agree]
    return slopes


def _one_sided(objective: Objective, theta: np.ndarray, places: np.ndarray, step: float) -> np.ndarray:
    """Return the slopes to the right and to the left ``(2, k)``; their mean is the central difference."""
    here = float(objective(theta))
    slopes = np.empty((2, len(places)))
    for number, place in enumerate(places):
        h = step * max(1.0, abs(theta[place]))
        up, down = theta.copy(), theta.copy()
        up[place] += h
        down[place] -= h
        # Half the difference of the rounded arguments, which differs from h.
        half = 0.5 * (up[place] - down[place])
        slopes[:, number] = (objective(up) - here) / half, (here - objective(down)) / half
    return slopes


def complex_step(objective: Objective, theta: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return ``Im f(x + ih) / h`` for the parameters at these indices ``(k,)``: accurate to the last digits.

    Nothing cancels, so h may be as small as 1e-30. f must be analytic and run on complex numbers
    (Squire & Trapp 1998, SIAM Review 40(1), 110-112).

    Parameters
    ----------
    objective : function
        Takes a complex ``theta (P,)`` and returns a scalar.
    theta : ndarray
        ``(P,)``, float64: where to differentiate.
    places : ndarray
        ``(k,)``, integers: the indices of the parameters.

    Returns
    -------
    ndarray
        ``(k,)``.

    Examples
    --------
    >>> complex_step(lambda t: (t @ t), np.asarray([1.0, 3.0]), np.arange(2))
    array([2., 6.])
    """
    slopes = np.empty(len(places))
    for number, place in enumerate(places):
        moved = theta.astype(np.complex128)
        moved[place] += 1j * _COMPLEX_STEP
        slopes[number] = np.imag(objective(moved)) / _COMPLEX_STEP
    return slopes


def all_of(
    net: Architecture, theta: np.ndarray, batch: Batch, wanted: Sequence[str] = NAMES
) -> tuple[list[Oracle], tuple[str, ...]]:
    """Return the oracles among ``wanted`` that can differentiate the objective, and why the others cannot.

    Parameters
    ----------
    net
        The network.
    theta
        ``(P,)``, float64: where to differentiate.
    batch
        ``X (n, n_0)``, ``Y (n, n_L)`` and the weights, on the host.
    wanted
        Names of oracles.

    Returns
    -------
    oracles : list of Oracle
        The usable oracles, in the order of ``wanted``.
    notes : tuple of str
        A line for each oracle that was left out.

    Examples
    --------
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, 1, 1), "relu", "identity")
    >>> batch = Batch(np.asarray([[1.0]]), np.asarray([[0.0]]))
    >>> oracles, notes = all_of(net, np.asarray([2.0, 1.0, 0.0, 0.0]), batch, ["differences", "complex step"])
    >>> oracles[0].slopes(np.arange(2)).round(6), notes
    (array([2., 4.]), ('complex step: left out: maximum is not analytic',))
    """
    oracles, notes = [], []
    for name in wanted:
        try:
            oracles.append(_oracle(name, net, theta, batch))
        except (BackendUnavailableError, UnrecordableError, _UnableError) as error:
            notes.append(f"{name}: left out: {error}")
    return oracles, tuple(notes)


class _UnableError(Exception):
    """An oracle cannot differentiate this function."""


def _oracle(name: str, net: Architecture, theta: np.ndarray, batch: Batch) -> Oracle:
    plain = _on(backends.named("numpy"), batch, net)
    if name == "differences":
        return Oracle(name, 1e-6, partial(smooth_differences, plain, theta))
    if name == "complex step":
        _check_analytic(net, theta, batch)
        return Oracle(name, 1e-10, partial(complex_step, plain, theta))
    gradient = _autodiff(name, net, theta, batch)  # (P,)
    return Oracle(name, 1e-10, lambda places: gradient[places])


def _on(backend: Backend, batch: Batch, net: Architecture) -> Objective:
    """Return the objective as a function of ``theta (P,)``, with the data on a backend, in float64."""
    data = batch.map(lambda part: backend.asarray(part, "float64"))
    return lambda theta: objective(theta, data, net)


def _check_analytic(net: Architecture, theta: np.ndarray, batch: Batch) -> None:
    """Raise unless the objective can be traced and consists of analytic functions."""
    from chainrule.program.primitives import PRIMITIVES
    from chainrule.program.trace import Spec, trace

    arrays = theta, *batch
    specs = [None if array is None else Spec(array.shape, theta.dtype) for array in arrays]
    program = trace(lambda theta, *parts: objective(theta, Batch(*parts), net), *specs)
    functions = {operation.function for operation in program.operations}
    others = sorted(name for name in functions if not PRIMITIVES[name].is_analytic)
    verb = "is" if len(others) == 1 else "are"
    require(not others, f"{', '.join(others)} {verb} not analytic", _UnableError)


def _autodiff(name: str, net: Architecture, theta: np.ndarray, batch: Batch) -> np.ndarray:
    """Return the gradient ``(P,)`` by a library's automatic differentiation of the same source."""
    backend = backends.named(f"{name}:cpu")
    problem = "it computes in float32 here (JAX_ENABLE_X64=1 changes that)"
    require(backend.default_dtype == "float64", problem, _UnableError)
    # A user's function may call functions that the library does not have.
    with refusing(Exception, "the forward pass does not run there ({})", _UnableError):
        return backend.to_numpy(backend.autodiff(_on(backend, batch, net), backend.asarray(theta)))
