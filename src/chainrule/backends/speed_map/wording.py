"""Wording: a prediction, an interval and a reason, as a person reads them."""

from chainrule.backends.speed_map.estimate import Prediction
from chainrule.backends.speed_map.interval import Interval

BOUNDS = ("GEMM-bound", "bandwidth-bound", "launch-bound")  # in the order of Parts


def label(one: Prediction) -> str:
    """Return what a backend is called: "numpy", or with what it was measured with, "numpy (numpy-jit)"."""
    return one.backend if one.contestant == one.backend else f"{one.backend} ({one.contestant})"


def spent(one: Prediction) -> str:
    """Return who takes how long, and how that is known."""
    known = {"measured": "measured", "interpolated": "between measured spots"}.get(one.how)
    if known is None:
        known = f"fitted, {one.held_out or 0.0:.0%} off on spots held out"
    return f"{label(one)} takes {microseconds(one.seconds.estimate)} us a step ({known})"


def span(ratio: Interval) -> str:
    """Return an interval.

    Examples
    --------
    >>> span(Interval(1.0, 0.5, 2.0))
    '0.50 to 2.00'
    >>> span(Interval(1.0, 0.0, float("inf")))
    'too few rounds'
    """
    if not ratio.is_bounded:
        return "too few rounds"
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def bound(one: Prediction) -> str:
    """Return what the time goes into; nothing where that is not known."""
    parts = one.parts
    return BOUNDS[max(range(3), key=parts.__getitem__)] if parts else ""


def reason(one: Prediction) -> str:
    """Return why it takes so long; nothing where that is not known."""
    parts, kind = one.parts, bound(one)
    if parts is None:
        return ""
    whole = microseconds(one.seconds.estimate)
    if kind == "GEMM-bound":
        return f"{kind}: matrix products take {microseconds(parts.products)} of {whole} us"
    if kind == "bandwidth-bound":
        return f"{kind}: passes over arrays take {microseconds(parts.elementwise)} of {whole} us"
    maths = microseconds(parts.products + parts.elementwise)
    if one.calls is None:
        return f"{kind}: {microseconds(parts.dispatch)} of {whole} us pass however little is computed"
    each = microseconds(parts.dispatch / one.calls)
    return f"{kind}: {one.calls} calls x {each} us, against {maths} us of mathematics"


def microseconds(seconds: float) -> str:
    """Return a time with three digits.

    Examples
    --------
    >>> microseconds(8.4e-06), microseconds(0.0012345)
    ('8.40', '1234')
    """
    value = seconds * 1e6
    shown = float(f"{value:.3g}")
    digits = 0 if shown >= 100 else 1 if shown >= 10 else 2 if shown >= 1 else 3
    return f"{value:.{digits}f}"
