"""Mapping: from the results of a run to the stored speed map, which ``backend="auto"`` reads."""

from chainrule.backends.speed_map.spots import SpeedMap, Spot, Time
from chainrule.backends.speed_map.stored import StaleMapError, read, write
from chainrule.backends.speed_map.workload import Workload
from chainrule.bench import roster
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
    known = []
    for cell in results.cells:
        places = [Place(cell, name) for name in roster.of(roster.BACKEND)]
        # The roster names a backend's faster form after it: that is the one that runs where it is installed.
        valid = {backend_of(p.contestant): p for p in places if results.figures(p).is_valid}
        seconds = {name: typical(results.samples(place)) for name, place in valid.items()}
        times = {name: Time(place.contestant, seconds[name]) for name, place in valid.items()}
        pairs = [(a, b) for a in valid for b in valid if a < b]
        ratios = {(a, b): ratio for a, b in pairs if (ratio := results.ratio(valid[a], valid[b]))}
        if times:
            known.append(Spot(Workload(*cell), times, ratios))
    return known


def backend_of(contestant: str) -> str:
    """Return the name that ``backend=`` takes for it.

    Examples
    --------
    >>> backend_of("numpy-jit"), backend_of("jax")
    ('numpy', 'jax')
    """
    return roster.entry(contestant).library.replace("-", ":")
