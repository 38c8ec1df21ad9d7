"""Schedules: the learning rate as a function of the epoch.

A schedule is ``rate(epoch, epochs)``: ``epoch`` counts from 0.0 in fractions (2.5 is halfway through the third
epoch), and ``epochs`` is the number of epochs of the training. It is evaluated on the host and passed to the step
as an array, so that a compiled step takes any rate. The schedules of this module can be pickled.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from chainrule.mathematics.checks import FINITE, Range, check_number

Schedule = Callable[[float, int], float]


@dataclass(frozen=True)
class Constant:
    """A schedule that is always ``rate``."""

    rate: float

    def __call__(self, _epoch: float, _epochs: int) -> float:
        """Return the rate."""
        return self.rate


def constant(rate: float) -> Schedule:
    """Return a schedule that is always ``rate``.

    Parameters
    ----------
    rate : float
        The learning rate, 0 or more.

    Returns
    -------
    callable
        ``epoch, epochs -> rate``.

    Raises
    ------
    ValueError, TypeError
        If ``rate`` is not a finite number of 0 or more.

    Examples
    --------
    >>> constant(0.1)(7.5, 20)
    0.1
    """
    check_number("learning_rate", rate, FINITE)
    return Constant(rate)


def cosine(peak: float, floor: float = 0.0) -> Schedule:
    """Return a schedule that falls from ``peak`` to ``floor`` along half a cosine.

    ``rate = floor + (peak - floor) (1 + cos(pi epoch / epochs)) / 2``
    (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts).

    Parameters
    ----------
    peak : float
        The rate at the start, 0 or more.
    floor : float, optional
        The rate at the end, 0 or more.

    Returns
    -------
    callable
        ``epoch, epochs -> rate``.

    Raises
    ------
    ValueError, TypeError
        If ``peak`` or ``floor`` is not a finite number of 0 or more.

    Examples
    --------
    >>> [round(cosine(0.1)(epoch, 10), 4) for epoch in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """
    check_number("cosine: peak", peak, FINITE)
    check_number("cosine: floor", floor, FINITE)
    return partial(_cosine, peak, floor)


def _cosine(peak: float, floor: float, epoch: float, epochs: int) -> float:
    return floor + 0.5 * (peak - floor) * (1.0 + math.cos(math.pi * min(epoch / epochs, 1.0)))


def step(initial: float, factor: float = 0.1, every: int = 10) -> Schedule:
    """Return a schedule that multiplies ``initial`` by ``factor`` after every ``every`` epochs.

    Parameters
    ----------
    initial : float
        The rate at the start, 0 or more.
    factor : float, optional
        The factor, 0 or more.
    every : int, optional
        The number of epochs between two changes of the rate, 1 or more.

    Returns
    -------
    callable
        ``epoch, epochs -> rate``.

    Raises
    ------
    ValueError, TypeError
        If ``initial`` or ``factor`` is not a finite number of 0 or more, or ``every`` not one of 1 or more.

    Examples
    --------
    >>> [round(step(0.1, factor=0.5, every=2)(epoch, 9), 4) for epoch in (0, 1.9, 2, 4)]
    [0.1, 0.1, 0.05, 0.025]
    """
    check_number("step: initial", initial, FINITE)
    check_number("step: factor", factor, FINITE)
    check_number("step: every", every, _FROM_ONE)
    return partial(_step, initial, factor, every)


def _step(initial: float, factor: float, every: int, epoch: float, _epochs: int) -> float:
    rate: float = initial * factor ** math.floor(epoch / every)
    return rate


def warm_up(then: float | Schedule, epochs: float = 1.0) -> Schedule:
    """Return a schedule that rises linearly from 0 to ``then`` over ``epochs`` epochs.

    Parameters
    ----------
    then : float or callable
        The rate after the rise, or a schedule for it.
    epochs : float, optional
        The length of the rise in epochs, 0 or more.

    Returns
    -------
    callable
        ``epoch, epochs -> rate``.

    Raises
    ------
    ValueError, TypeError
        If ``then`` is not a rate or a schedule, or ``epochs`` is not a finite number of 0 or more.

    Examples
    --------
    >>> [warm_up(0.1, epochs=2)(epoch, 10) for epoch in (0.5, 1, 2, 3)]
    [0.025, 0.05, 0.1, 0.1]
    """
    check_number("warm_up: epochs", epochs, FINITE)
    return partial(_warm_up, schedule(then), epochs)


def _warm_up(then: Schedule, epochs: float, epoch: float, total: int) -> float:
    return then(epoch, total) * min(epoch / epochs if epochs > 0 else 1.0, 1.0)


def schedule(rate: float | Schedule) -> Schedule:
    """Return a schedule that checks its rates; a number becomes a constant schedule.

    Parameters
    ----------
    rate : float or callable
        A rate of 0 or more, or ``epoch, epochs -> rate``.

    Returns
    -------
    callable
        ``epoch, epochs -> rate``. It raises the errors below for each of its rates.

    Raises
    ------
    ValueError
        If a rate is negative, infinite or NaN.
    TypeError
        If ``rate`` is neither a number nor a schedule.

    Examples
    --------
    >>> schedule(0.1)(3.0, 10)
    0.1
    >>> schedule(cosine(0.1))(5.0, 10)
    0.05
    """
    if callable(rate):
        return partial(_checked, rate)
    return constant(_rate(rate))


def _checked(rate: Schedule, epoch: float, epochs: int) -> float:
    return _rate(rate(epoch, epochs))


def _rate(rate: Any) -> float:
    """Return a learning rate, a number or 0-d array of any library, as a float."""
    try:
        number = rate if isinstance(rate, bool) else float(+rate)  # the sign refuses "0.1"
    except (TypeError, ValueError):
        number = rate
    check_number("learning_rate", number, _RATE)
    return number


_RATE = FINITE._replace(text=f"{FINITE.text}, such as 0.1, or a schedule")
_FROM_ONE = Range("a finite number of 1 or more", lambda x: 1 <= x < math.inf)
