"""Numbers as text: three significant digits, microseconds and shares."""

from chainrule.backends.speed_map.interval import three_digits

NONE = "-"


def number(value: float | None) -> str:
    """Return three significant digits of a number, or a dash for ``None``.

    Examples
    --------
    >>> number(2.0), number(None)
    ('2.00', '-')
    """
    return NONE if value is None else three_digits(value)


def microseconds(seconds: float | None) -> str:
    """Return a time as a number of microseconds, the unit of all tables."""
    return number(None if seconds is None else 1e6 * seconds)


def percent(share: float | None) -> str:
    """Return a share as whole per cent.

    Examples
    --------
    >>> percent(0.886), percent(0.002), percent(None)
    ('89 %', '0.2 %', '-')
    """
    if share is None:
        return NONE
    return f"{100 * share:.{1 if 0 < share < 0.00995 else 0}f} %"
