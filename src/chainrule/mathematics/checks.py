"""Checks of single numbers that a user gives; each error names the argument."""

import math
from collections.abc import Callable
from numbers import Real
from operator import index
from typing import Any, NamedTuple

from chainrule.mathematics.naming import quoted


class Range(NamedTuple):
    """The allowed range of a setting, and its description for errors."""

    wanted: str
    holds: Callable[[float], bool] = lambda _: True


ANY = Range("a number")
FINITE = Range("a finite number of 0 or more", lambda x: 0.0 <= x < math.inf)
POSITIVE = Range("a finite number above 0", lambda x: 0.0 < x < math.inf)
FRACTION = Range("a number above 0 and below 1", lambda x: 0.0 < x < 1.0)
BELOW_ONE = Range("a number from 0 up to, but not including, 1", lambda x: 0.0 <= x < 1.0)


def check_number(name: str, given: Any, allowed: Range = ANY) -> None:
    """Raise unless ``given`` is a real number in the range ``allowed``; a bool is not a number.

    Raises
    ------
    TypeError
        If it is a string, an array, ``None``, ...
    ValueError
        If it is a number out of the range.

    Examples
    --------
    >>> check_number("tol", "1e-4")
    Traceback (most recent call last):
    ...
    TypeError: tol is '1e-4'; give a number
    >>> check_number("validation_fraction", 1.5, FRACTION)
    Traceback (most recent call last):
    ...
    ValueError: validation_fraction is 1.5; give a number above 0 and below 1
    """
    error = TypeError if isinstance(given, bool) or not isinstance(given, Real) else ValueError
    if error is TypeError or not allowed.holds(float(given)):
        msg = f"{name} is {given if error is ValueError else quoted(given)}; give {allowed.wanted}"
        raise error(msg)


def flag(name: str, given: Any) -> bool:
    """Return ``given`` as a ``bool`` if it is a bool of any library, or 0 or 1.

    Raises
    ------
    TypeError
        If it is anything else, such as text, which Python takes for true.

    Examples
    --------
    >>> flag("compile", "no")
    Traceback (most recent call last):
    ...
    TypeError: compile is 'no'; give True or False
    """
    if isinstance(given, str) or given not in (True, False):
        msg = f"{name} is {quoted(given)}; give True or False"
        raise TypeError(msg)
    return bool(given)


def whole_number(name: str, given: Any) -> int:
    """Return ``given`` as an ``int`` if it is a whole number of any library; bools are refused.

    Raises
    ------
    TypeError
        If it is not a whole number.

    Examples
    --------
    >>> whole_number("epochs", 3)
    3
    """
    try:
        if not isinstance(given, bool):
            return index(given)
    except TypeError:
        pass
    msg = f"{name} is {quoted(given)}; give a whole number"
    raise TypeError(msg)


def at_least(least: int, name: str, given: Any) -> int:
    """Return ``given`` as an ``int`` if it is a whole number of ``least`` or more.

    Raises
    ------
    TypeError
        If it is not a whole number.
    ValueError
        If it is less.

    Examples
    --------
    >>> at_least(1, "epochs", 0)
    Traceback (most recent call last):
    ...
    ValueError: epochs is 0; give 1 or more
    """
    number = whole_number(name, given)
    if number < least:
        msg = f"{name} is {number}; give {least} or more"
        raise ValueError(msg)
    return number
