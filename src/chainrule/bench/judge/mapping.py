"""Mapping: from the results of a run to the stored speed map, which ``backend="auto"`` reads."""

from collections.abc import Sequence

from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.spots import SpeedMap, Spot, Time
from chainrule.backends.speed_map.stored import StaleMapError, read, write
from chainrule.backends.speed_map.workload import Workload
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.figures import Place
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.statistics import typical


def store(results: Results) -> SpeedMap:
    """Add the results to the stored map of this machine, and return it; a map of other versions is replaced."""
    try:
        known = read()
    except StaleMapError:
        known = SpeedMap()
    merged = known.with_spots(spots(results))
    write(merged)
    return merged


def spots(results: Results) -> list[Spot]:
    """Return a spot for each cell in which one of our backends has a valid time.

    With the threads that each library chooses by itself, as in training.
    """
    rows = [(Workload(*cell), _places(results, cell)) for cell in results.cells]
    return [
        Spot(
            work,
            {name: _time(results, place) for name, place in places.items()},
            _ratios(results, places),
        )
        for work, places in rows
        if places
    ]


def backend_of(contestant: str) -> str:
    """Return the name that ``backend=`` takes for it.

    Examples
    --------
    >>> backend_of("numpy-jit"), backend_of("jax")
    ('numpy', 'jax')
    """
    return roster.entry(contestant).library.replace("-", ":")


def _places(results: Results, cell: Cell) -> dict[str, Place]:
    """Return the place of each backend in the results; NumPy's with the extra ``jit`` where it was measured."""
    places = [Place(cell, name) for name in roster.of(roster.BACKEND)]
    # The roster names a backend's faster form after it: that is the one that runs where it is installed.
    return {backend_of(p.contestant): p for p in places if results.figures(p).is_valid}


def _time(results: Results, place: Place) -> Time:
    copies = _samples(results, place._replace(operation="transfer"))
    seconds = typical(_samples(results, place))
    return Time(place.contestant, seconds, typical(copies) if copies else None)


def _ratios(results: Results, places: dict[str, Place]) -> dict[tuple[str, str], Interval]:
    pairs = [(a, b) for a in places for b in places if a < b]
    ratios = {(a, b): results.ratio(places[a], places[b]) for a, b in pairs}
    return {pair: ratio for pair, ratio in ratios.items() if ratio is not None}


def _samples(results: Results, place: Place) -> Sequence[Sequence[float]]:
    held = results.measurements(place)
    return [one.per_step for one in held if one.status == "ok" and one.seconds]
