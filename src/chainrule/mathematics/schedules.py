"""Schedules: the learning rate as a function of how far training is, in epochs.

A schedule is ``rate(epoch, epochs)``: ``epoch`` counts up from 0.0 through fractions (2.5 is halfway
through the third epoch) and ``epochs`` is how many were asked for. It is evaluated on the host and
enters the step as an array, so that a compiled step can be told another rate.
"""

import math
from collections.abc import Callable

Schedule = Callable[[float, int], float]


def constant(rate: float) -> Schedule:
    """Return the schedule that is always ``rate``.

    Examples
    --------
    >>> constant(0.1)(7.5, 20)
    0.1
    """
    return lambda _epoch, _epochs: rate


def cosine(peak: float, floor: float = 0.0) -> Schedule:
    """Return the half cosine from ``peak`` at the first step down to ``floor`` at the end.

    ``rate = floor + (peak - floor) (1 + cos(pi epoch / epochs)) / 2``
    (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts).

    Examples
    --------
    >>> [round(cosine(0.1)(epoch, 10), 4) for epoch in (0, 5, 10)]
    [0.1, 0.05, 0.0]
    """
    return lambda epoch, epochs: (
        floor + 0.5 * (peak - floor) * (1.0 + math.cos(math.pi * min(epoch / epochs, 1.0)))
    )


def step(initial: float, factor: float = 0.1, every: int = 10) -> Schedule:
    """Return ``initial`` multiplied with ``factor`` after ``every`` so many epochs.

    Examples
    --------
    >>> [round(step(0.1, factor=0.5, every=2)(epoch, 9), 4) for epoch in (0, 1.9, 2, 4)]
    [0.1, 0.1, 0.05, 0.025]

    Raises
    ------
    ValueError
        If ``every`` is below 1.
    """
    if every < 1:
        msg = f"step(every={every}): a learning rate cannot change every {every} epochs; give 1 or more"
        raise ValueError(msg)
    return lambda epoch, _epochs: initial * factor ** math.floor(epoch / every)


def warm_up(then: float | Schedule, epochs: float = 1.0) -> Schedule:
    """Return ``then`` (a rate or a schedule), reached by a straight line from 0 over the first ``epochs``.

    Examples
    --------
    >>> [warm_up(0.1, epochs=2)(epoch, 10) for epoch in (0.5, 1, 2, 3)]
    [0.025, 0.05, 0.1, 0.1]
    """
    after = schedule(then)
    return lambda epoch, total: after(epoch, total) * min(epoch / epochs if epochs > 0 else 1.0, 1.0)


def schedule(given: float | Schedule) -> Schedule:
    """Return a schedule: a number becomes the constant one.

    Raises
    ------
    ValueError
        If the number is negative, infinite or NaN.
    TypeError
        If it is neither a number nor a schedule.

    Examples
    --------
    >>> schedule(0.1)(3.0, 10)
    0.1
    >>> schedule(cosine(0.1))(5.0, 10)
    0.05
    """
    if callable(given):
        return given
    try:
        rate = float(+given)  # the sign refuses "0.1", which float alone would read
    except (TypeError, ValueError):
        msg = f"learning_rate is {given!r}; give a number such as 0.1, or a schedule"
        raise TypeError(msg) from None
    if not (math.isfinite(rate) and rate >= 0.0):
        msg = f"learning_rate is {given}; give a finite number of 0 or more, such as 0.1"
        raise ValueError(msg)
    return constant(rate)
