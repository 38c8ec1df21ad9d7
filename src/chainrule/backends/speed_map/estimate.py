"""Prediction: what each backend would take for a workload, from what was measured about it."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from chainrule.backends.speed_map.fitting import fit
from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.neighbours import Neighbourhood, neighbourhood
from chainrule.backends.speed_map.spots import Parts, SpeedMap, Time
from chainrule.backends.speed_map.workload import Workload

How = Literal["measured", "interpolated", "fitted"]
FURTHEST = 2.0  # times beyond what was measured; further out nothing is said


class OutsideMapError(LookupError):
    """A workload too far from everything measured; the message says from what."""


class Prediction(NamedTuple):
    """What a backend takes for a step, and how that is known.

    ``held_out``: the relative error of the fit on spots that it was not made from.
    """

    backend: str
    contestant: str
    seconds: Interval
    how: How
    parts: Parts | None = None
    calls: int | None = None
    held_out: float | None = None


def predict(known: SpeedMap, work: Workload) -> dict[str, Prediction]:
    """Return what each backend takes, the fastest first.

    At a measured spot what was measured; between spots of the same shape, log-linear in hidden size and
    batch; else what the fit says of the counts, up to twice outside what was measured.

    Raises
    ------
    OutsideMapError
        If the map says nothing of any backend there.
    """
    near = neighbourhood(known, work)
    found = {}
    for name in dict.fromkeys(name for spot in known.spots for name in spot.times):
        is_here = near.corners and all(name in corner.spot.times for corner in near.corners)
        said = _between(name, near) if is_here else _fitted(name, known, work)
        if said is not None:
            found[name] = said
    if not found:
        raise OutsideMapError(_outside(known, work))
    return dict(sorted(found.items(), key=lambda item: item[1].seconds.estimate))


def _between(name: str, near: Neighbourhood) -> Prediction:
    times = [corner.spot.times[name] for corner in near.corners]
    seconds = near.mean(time.seconds for time in times)
    _, nearest = max(zip(near.corners, times, strict=True), key=lambda one: one[0].weight)
    how: How = "measured" if len(times) == 1 else "interpolated"
    parts, calls = _scaled(nearest, seconds), nearest.calls
    return Prediction(name, nearest.contestant, seconds, how, parts, calls)


def _scaled(time: Time, seconds: Interval) -> Parts | None:
    """Return the parts of a time in a step that takes so many seconds."""
    factor = seconds.estimate / time.seconds.estimate
    return Parts(*(factor * part for part in time.parts)) if time.parts else None


def _fitted(name: str, known: SpeedMap, work: Workload) -> Prediction | None:
    """Return what the fit says; ``None`` where there is none, or the workload lies too far outside."""
    spots = [s for s in known.spots if name in s.times and s.workload.dtype == work.dtype]
    works = [spot.workload for spot in spots]
    if beyond(works, work):
        return None
    made = fit(works, [spot.times[name].seconds.estimate for spot in spots])
    if made is None or made.seconds(work) <= 0.0:
        return None
    seconds = Interval(*[made.seconds(work)] * 3).widened(2.0 * made.error)
    who, parts = spots[0].times[name].contestant, Parts(*made.parts(work))
    return Prediction(name, who, seconds, "fitted", parts, work.calls, math.expm1(made.error))


def _outside(known: SpeedMap, work: Workload) -> str:
    same = [spot.workload for spot in known.spots if spot.workload.dtype == work.dtype and spot.times]
    if not same:
        return f"nothing was measured in {work.dtype}"
    found = beyond(same, work)
    return found or f"too little was measured (spots: {len(same)}) to say anything of {work.name}"


def beyond(measured: Sequence[Workload], work: Workload) -> str:
    """Return on which axis a workload lies too far outside, in words; nothing where it does not.

    Examples
    --------
    >>> from chainrule.backends.speed_map.workload import workload
    >>> beyond([workload((8, 4, 2), 8)], workload((8, 4, 2), 64))
    'batch 64 is more than twice outside what was measured, 8 to 8'
    """
    held = [_axes(one) for one in measured]
    for name, value in _axes(work).items():
        values = [one[name] for one in held] or [0]
        least, most = min(values), max(values)
        if not least / FURTHEST <= value <= FURTHEST * most:
            return f"{name} {value} is more than twice outside what was measured, {least} to {most}"
    return ""


def _axes(work: Workload) -> dict[str, int]:
    first, *hidden, last = work.sizes
    return {
        "batch": work.batch,
        "input size": first,
        "smallest hidden size": min(hidden, default=last),
        "largest hidden size": max(hidden, default=last),
        "output size": last,
        "calls": work.calls,
    }
