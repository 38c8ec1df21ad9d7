"""The figures of the report: what each shows, and how it is drawn by matplotlib.

A chart is described without matplotlib; only drawing needs it. Each panel is a picture of its own on the
page, where panels wrap as the window is narrow, and the panels of a chart are one picture in a file.
"""

from collections.abc import Iterable

from chainrule.bench.report.charts import crossover, forest, roofline, step_times, throughput
from chainrule.bench.report.charts.drawing import Chart
from chainrule.bench.report.findings import Findings


def sections(found: Findings) -> dict[str, list[Chart]]:
    """Return the charts that there are data for, by section of the report."""
    every = found.slices
    return {
        "map": _present(crossover.chart(found, one) for one in every),
        "limit": _present([step_times.chart(found), roofline.chart(found)]),
        "throughput": _present(throughput.chart(found, one) for one in every),
        "peers": _present([forest.chart(found)]),
    }


def _present(charts: Iterable[Chart | None]) -> list[Chart]:
    return [chart for chart in charts if chart is not None]
