"""Checks of single numbers; each error names the argument."""

import math
from collections.abc import Callable
from numbers import Real
from operator import index
from typing import Any, NamedTuple

from chainrule.mathematics.naming import quoted, refusing, require


class Range(NamedTuple):
    """The allowed range of a setting, and its description for errors."""

    text: str
    holds: Callable[[float], bool] = lambda _: True


ANY = Range("a number")
FINITE = Range("a finite number of 0 or more", lambda x: 0.0 <= x < math.inf)
POSITIVE = Range("a finite number above 0", lambda x: 0.0 < x < math.inf)
FRACTION = Range("a number above 0 and below 1", lambda x: 0.0 < x < 1.0)
BELOW_ONE = Range("a number from 0 up to, but not including, 1", lambda x: 0.0 <= x < 1.0)


def check_number(name: str, value: Any, allowed: Range = ANY) -> None:
    """Raise unless ``value`` is a real number in the range ``allowed``; a bool is not a number.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is outside the range.

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
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    require(is_number, f"{name} is {quoted(value)}; give {allowed.text}", TypeError)
    require(allowed.holds(float(value)), f"{name} is {value}; give {allowed.text}")


def flag(name: str, value: Any) -> bool:
    """Return a bool of any library, or 0 or 1, as a ``bool``.

    Raises
    ------
    TypeError
        If ``value`` is anything else, such as text, which is true for Python.

    Examples
    --------
    >>> flag("compile", "no")
    Traceback (most recent call last):
    ...
    TypeError: compile is 'no'; give True or False
    """
    is_flag = not isinstance(value, str) and value in (True, False)
    require(is_flag, f"{name} is {quoted(value)}; give True or False", TypeError)
    return bool(value)


def whole_number(name: str, value: Any) -> int:
    """Return a whole number of any library as an ``int``; bools are refused.

    Raises
    ------
    TypeError
        If ``value`` is not a whole number.

    Examples
    --------
    >>> whole_number("epochs", 3)
    3
    """
    problem = f"{name} is {quoted(value)}; give a whole number"
    require(not isinstance(value, bool), problem, TypeError)
    with refusing(TypeError, problem, TypeError):
        return index(value)


def at_least(least: int, name: str, value: Any) -> int:
    """Return a whole number of ``least`` or more as an ``int``.

    Raises
    ------
    TypeError
        If ``value`` is not a whole number.
    ValueError
        If it is smaller than ``least``.

    Examples
    --------
    >>> at_least(1, "epochs", 0)
    Traceback (most recent call last):
    ...
    ValueError: epochs is 0; give 1 or more
    """
    number = whole_number(name, value)
    require(number >= least, f"{name} is {number}; give {least} or more")
    return number
