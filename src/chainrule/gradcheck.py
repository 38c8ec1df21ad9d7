"""The gradient check: the derived gradient against central differences, parameter by parameter.

``(f(x + h) - f(x - h)) / 2h`` differs from the derivative by a term in h², and by rounding over h.
Only float64 makes that sharp: about ten digits agree there, and two or three in float32.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Objective = Callable[[np.ndarray], float]


class ParameterCheck(NamedTuple):
    """How far the derived gradient of one parameter array is from the measured one."""

    name: str
    shape: tuple[int, ...]
    checked: int  # how many entries were measured
    error: float  # largest difference, relative to the largest entry of either


class GradientCheck(NamedTuple):
    """The check of all parameters; prints as a table."""

    parameters: tuple[ParameterCheck, ...]
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether every parameter is within the tolerance."""
        return all(parameter.error <= self.tolerance for parameter in self.parameters)

    def __str__(self) -> str:
        """Return the table, a line a parameter."""
        lines = [f"{'parameter':<10} {'shape':<14} {'entries':>8} {'relative error':>15}"]
        for name, shape, checked, error in self.parameters:
            verdict = "ok" if error <= self.tolerance else f"above {self.tolerance:.0e}"
            lines.append(f"{name:<10} {shape!s:<14} {checked:>8} {error:>15.2e}  {verdict}")
        return "\n".join(lines)


def central_differences(
    objective: Objective, theta: np.ndarray, places: Sequence[int], step: float = 1e-5
) -> np.ndarray:
    """Return ``(len(places),)``: d objective / d theta at those places of the flat ``theta (P,)``.

    Examples
    --------
    >>> central_differences(lambda t: float(t @ t), np.asarray([1.0, 3.0]), [0, 1]).round(6)
    array([2., 6.])
    """
    slopes = np.empty(len(places))
    for number, place in enumerate(places):
        h = step * max(1.0, abs(theta[place]))
        up, down = theta.copy(), theta.copy()
        up[place] += h
        down[place] -= h
        # The difference of the arguments as they were rounded, not 2h.
        slopes[number] = (objective(up) - objective(down)) / (up[place] - down[place])
    return slopes


def check(
    objective: Objective,
    gradient: np.ndarray,
    theta: np.ndarray,
    named_shapes: Sequence[tuple[str, tuple[int, ...]]],
    *,
    tolerance: float = 1e-6,
    most: int = 200,
) -> GradientCheck:
    """Compare ``gradient (P,)`` with central differences of ``objective`` at ``theta (P,)``.

    Parameters
    ----------
    objective
        ``theta (P,) float64 -> float``.
    gradient
        What is claimed to be its derivative at ``theta``.
    theta
        Flat parameters, float64.
    named_shapes
        The names and shapes that lie one after the other in ``theta``.
    tolerance
        The largest relative error that passes.
    most
        The most entries to measure in each parameter, spread evenly: each costs two evaluations.

    Examples
    --------
    >>> theta = np.asarray([1.0, 3.0])
    >>> check(lambda t: float(t @ t), 2 * theta, theta, [("W1", (2, 1))]).passed
    True
    >>> check(lambda t: float(t @ t), 1.01 * 2 * theta, theta, [("W1", (2, 1))]).passed
    False
    """
    parameters, start = [], 0
    for name, shape in named_shapes:
        count = int(np.prod(shape))
        inside = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
        places = start + inside
        measured = central_differences(objective, theta, list(places))
        derived = gradient[places]
        size = max(float(np.abs(measured).max()), float(np.abs(derived).max()))
        error = float(np.abs(measured - derived).max()) / size if size > 0 else 0.0
        parameters.append(ParameterCheck(name, shape, len(places), error))
        start += count
    return GradientCheck(tuple(parameters), tolerance)
