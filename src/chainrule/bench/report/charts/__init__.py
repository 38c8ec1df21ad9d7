"""The figures of the report: what each shows, and how it is drawn by matplotlib.

A chart is described without matplotlib; only drawing needs it. Each panel is a picture of its own on the
page, where panels wrap as the window is narrow, and the panels of a chart are one picture in a file.
"""

from collections.abc import Sequence
from pathlib import Path

from chainrule.bench.judge.results import Results
from chainrule.bench.report.charts import crossover, forest, roofline, step_times, throughput
from chainrule.bench.report.charts.drawing import Chart, dark_rules, picture


def sections(run: Results) -> dict[str, list[Chart]]:
    """Return the charts that there are data for, by section of the report."""
    every = {
        "map": [crossover.chart(run, one) for one in run.slices],
        "limit": [step_times.chart(run), roofline.chart(run)],
        "throughput": [throughput.chart(run, one) for one in run.slices],
        "peers": [forest.chart(run)],
    }
    return {name: [chart for chart in charts if chart.panels] for name, charts in every.items()}


def figures(run: Results, folder: Path, formats: Sequence[str] = ("svg",)) -> list[Path]:
    """Write the figures into a folder, and return their files.

    Parameters
    ----------
    run
        The results of a run.
    folder
        The folder of the files; it is made if it does not exist.
    formats
        "svg", "png" or both.

    Raises
    ------
    ImportError
        If matplotlib, the extra ``plots``, is not installed.
    """
    from chainrule.plots.canvas import save

    folder.mkdir(parents=True, exist_ok=True)
    return [
        save(picture(chart.panels, chart.title), folder / f"{chart.name}.{form}", style=dark_rules())
        for charts in sections(run).values()
        for chart in charts
        for form in formats
    ]
