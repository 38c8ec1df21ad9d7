"""The figures of the report, each drawn once, for the page and for files."""

from collections.abc import Iterable

from chainrule.bench.report.charts import crossover_map, parts, peers, roofline, throughput
from chainrule.bench.report.drawings.shapes import Figure
from chainrule.bench.report.findings import Findings


def sections(found: Findings) -> dict[str, list[Figure]]:
    """Return the figures that there is something for, by the section of the report that they are of."""
    every = found.slices
    return {
        "map": _made(crossover_map.figure(found, one) for one in every),
        "limit": _made([parts.figure(found), *(roofline.figure(found, one) for one in every)]),
        "throughput": _made(throughput.figure(found, one) for one in every),
        "peers": peers.figures(found),
    }


def _made(figures: Iterable[Figure | None]) -> list[Figure]:
    return [one for one in figures if one is not None]
