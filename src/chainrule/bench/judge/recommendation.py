"""The recommendation: the fastest backend for one network, from the stored map or measured now; and what is stored."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from chainrule.backends.speed_map.choice import Choice, OutsideMapError, choose
from chainrule.backends.speed_map.spots import SpeedMap, Spot, Time, Workload
from chainrule.backends.speed_map.stored import StaleMapError, read, write
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Place, Results
from chainrule.bench.judge.statistics import typical
from chainrule.bench.link import second_machine
from chainrule.bench.store import Records

BUDGET = 15.0  # seconds; the answer comes within 20, with Python's start and the last measurement


# Measures contestants in a cell in about this many seconds.
Measure = Callable[[Cell, Sequence[str], float], Records]


class Recommendation(NamedTuple):
    """The choice, and whether it was measured for this answer."""

    choice: Choice
    was_measured: bool
    notes: Sequence[str]


def recommend(
    cell: Cell, measure: Measure, *, contestants: Sequence[str] | None = None, again: bool = False
) -> Recommendation:
    """Return the backend to use for a network and a batch size.

    The stored map answers if the network was measured, or if its neighbours decide; otherwise it is measured and stored.

    Parameters
    ----------
    measure
        Measures contestants in a cell for :data:`BUDGET` seconds; called at most once.
    contestants
        The backends; by default all that are installed.
    again
        Measure even if the stored map answers.

    Raises
    ------
    RuntimeError
        If nothing could be measured; the message has the reason.
    """
    names = installed() if contestants is None else list(contestants)
    known, notes = _stored()
    choice = None if again else _choice(known, cell, names)
    was_measured = False
    if choice is None or not _is_enough(choice, names):
        was_measured = True
        records = measure(cell, names, BUDGET)
        choice = _choice(store(Results(records)), cell, names)
        reasons = {m.contestant: m.reason for m in records.measurements if m.cell == cell and m.reason}
        measured = {row.backend for row in choice.estimates} if choice else set()
        left_out = [f"{n}: {why}" for n, why in reasons.items() if backend_of(n) not in measured]
        if choice is None:
            msg = (
                f"{cell.name} could not be measured ({'; '.join(left_out) or 'the time ran out first'}); "
                "measure again when the machine is less busy, or give a smaller batch"
            )
            raise RuntimeError(msg)
        notes += [f"not known: {line}" for line in left_out]
    alone = choice.estimates[0].seconds.estimate
    notes.append(second_machine(alone, cell.parameters * cell.itemsize))
    return Recommendation(choice, was_measured, notes)


def installed() -> list[str]:
    """Return our backends that are installed; NumPy with native code if that extra is installed.

    Examples
    --------
    >>> any(name.startswith("numpy") for name in installed())
    True
    """
    names = [name for name in roster.of(roster.BACKEND) if roster.entry(name).is_at_hand]
    return list({backend_of(name): name for name in names}.values())


def _stored() -> tuple[SpeedMap, list[str]]:
    try:
        return read(), []
    except StaleMapError as error:
        return SpeedMap(), [f"measured again, since {error}"]


def _choice(known: SpeedMap, cell: Cell, names: Sequence[str]) -> Choice | None:
    """Return the choice by a map; ``None`` if the map does not cover the network."""
    wanted = {backend_of(name) for name in names}
    try:
        return choose(known, Workload(*cell), lambda name: name in wanted)
    except OutsideMapError:
        return None


def _is_enough(choice: Choice, names: Sequence[str]) -> bool:
    """Return whether every backend is known, and all were measured or the choice is decided."""
    rows = choice.estimates
    is_complete = {backend_of(name) for name in names} <= {row.backend for row in rows}
    is_measured = all(row.how == "measured" for row in rows)
    is_certain = all(row.seconds.is_bounded for row in rows)
    return is_complete and is_certain and (is_measured or choice.is_decided)


def store(results: Results) -> SpeedMap:
    """Add the results to the stored map of this machine, and return it; replaces a map of other versions."""
    merged = _stored()[0].with_spots(spots(results))
    write(merged)
    return merged


def spots(results: Results) -> list[Spot]:
    """Return a spot for each cell in which one of our backends has a valid time with its own choice of threads."""
    known = []
    for cell in results.cells:
        places = [Place(cell, name) for name in roster.of(roster.BACKEND)]
        # The roster lists a backend's faster form after it, which is the one that runs if it is installed.
        valid = {backend_of(p.contestant): p for p in places if results.figures(p).is_valid}
        samples = {name: [m.per_step for m in results.timed(place)] for name, place in valid.items()}
        times = {n: Time(place.contestant, typical(samples[n])) for n, place in valid.items()}
        pairs = [(a, b) for a in valid for b in valid if a < b]
        ratios = {(a, b): ratio for a, b in pairs if (ratio := results.ratio(valid[a], valid[b]))}
        if times:
            known.append(Spot(Workload(*cell), times, ratios))
    return known


def backend_of(contestant: str) -> str:
    """Return the name of its backend for ``backend=``.

    Examples
    --------
    >>> backend_of("numpy-jit"), backend_of("jax")
    ('numpy', 'jax')
    """
    return roster.entry(contestant).library.replace("-", ":")
