"""Checks of single numbers that a user gives; each error names the argument."""

from numbers import Real
from operator import index
from typing import Any


def check_number(name: str, given: Any, remedy: str = "give a number") -> None:
    """Raise ``TypeError`` unless ``given`` is a real number.

    Raises
    ------
    TypeError
        If it is a string, an array, ``None``, ...

    Examples
    --------
    >>> check_number("tol", "1e-4")
    Traceback (most recent call last):
    ...
    TypeError: tol is '1e-4'; give a number
    """
    if not isinstance(given, Real):
        msg = f"{name} is {given!r}; {remedy}"
        raise TypeError(msg)


def whole_number(name: str, given: Any) -> int:
    """Return ``given`` as an ``int`` if it is a whole number of any library; a bool is not.

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
    msg = f"{name} is {given!r}; give a whole number"
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
