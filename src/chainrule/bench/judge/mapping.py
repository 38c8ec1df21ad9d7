"""Mapping: what a run says for the stored speed map, which ``backend="auto"`` reads."""

from collections.abc import Sequence

from chainrule.backends import speed_map
from chainrule.backends.speed_map import Interval, Parts, SpeedMap, Spot, StaleMapError, Time, Workload
from chainrule.bench import roster
from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import LAUNCH_BOUND, Figures, Place, Results
from chainrule.bench.judge.statistics import typical

FAR_BELOW = 0.2  # the share of the best rate from which products count as such
SMALL = 1 << 18  # bytes, of all operands of a step; passes over so few are over at once
PASSES = 4  # times as long as a copy of its bytes an elementwise operation takes at the most


def store(results: Results) -> SpeedMap:
    """Put what was measured on this machine into its map, and return the map.

    A map of other versions is replaced.
    """
    try:
        known = speed_map.read()
    except StaleMapError:
        known = SpeedMap()
    joined = known.with_spots(spots(results))
    speed_map.write(joined)
    return joined


def spots(results: Results) -> list[Spot]:
    """Return a spot for each cell in which one of our backends has a valid figure.

    With the threads that each library chooses by itself, as in training.
    """
    found = []
    for cell in results.cells:
        places = _places(results, cell)
        if places:
            work = workload_of(cell)
            times = {name: _time(results, place, work) for name, place in places.items()}
            found.append(Spot(work, times, _ratios(results, places)))
    return found


def workload_of(cell: Cell) -> Workload:
    """Return what a step in a cell has to do."""
    return speed_map.workload(cell.sizes, cell.batch, cell.rule, cell.dtype)


def backend_of(contestant: str) -> str:
    """Return the name that ``backend=`` takes for it.

    Examples
    --------
    >>> backend_of("numpy-jit"), backend_of("jax")
    ('numpy', 'jax')
    """
    return roster.entry(contestant).library.replace("-", ":")


def _places(results: Results, cell: Cell) -> dict[str, Place]:
    """Return what was measured of each backend; NumPy with the extra ``jit`` where that was."""
    places = [Place(cell, name) for name in roster.of(roster.BACKEND)]
    # The roster names a backend's faster form after it: that is the one that runs where it is installed.
    return {backend_of(p.contestant): p for p in places if results.figures(p).is_valid}


def _time(results: Results, place: Place, work: Workload) -> Time:
    figures = results.figures(place)
    copies = _samples(results, place._replace(operation="transfer"))
    return Time(
        place.contestant,
        typical(_samples(results, place)),
        _parts(results, figures, work),
        results.calls(place),
        typical(copies) if copies else None,
    )


def _parts(results: Results, figures: Figures, work: Workload) -> Parts | None:
    """Return where a step's time goes, as far as it is known.

    Products that run far below the machine's best rate are too small for it: what they take beyond that is
    memory's or the calls'. Where nobody knows the calls (compiled steps), what memory does not explain counts
    as theirs.
    """
    step, bare, place = figures.step or 0.0, figures.products, figures.place
    best, copies = results.product_rate(place), results.copy_rate(place)
    if bare is None or best is None or copies is None:
        return None
    products = min(bare, figures.flops / best / FAR_BELOW) if bare > step / 2 else bare
    rest = step - products
    is_device = roster.entry(place.contestant).device != "cpu"
    if is_device and (figures.enqueued_share or 0.0) >= LAUNCH_BOUND:
        return Parts(0.0, 0.0, step)  # the device waits for the host
    known = rest - figures.dispatch if figures.dispatch is not None and products == bare else rest
    elementwise = min(known, PASSES * work.bytes / copies if work.bytes > SMALL else 0.0)
    return Parts(products, elementwise, rest - elementwise)


def _ratios(results: Results, places: dict[str, Place]) -> dict[tuple[str, str], Interval]:
    pairs = [(a, b) for a in places for b in places if a < b]
    ratios = {(a, b): results.ratio(places[a], places[b]) for a, b in pairs}
    return {pair: ratio for pair, ratio in ratios.items() if ratio is not None}


def _samples(results: Results, place: Place) -> Sequence[Sequence[float]]:
    held = results.measurements(place)
    return [one.per_step for one in held if one.status == "ok" and one.seconds]
