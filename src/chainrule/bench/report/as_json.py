"""The report as JSON: every derived figure, for machines."""

import json
import math
from typing import Any

from chainrule.bench.cells import Cell
from chainrule.bench.judge.figures import Figures
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.statistics import BAND
from chainrule.bench.report import conditions, words

SCHEMA = 3
DIGITS = 5  # significant ones: no time is known better

# Times in seconds a step, rates a second.
FIGURES = ("limit", "share", "step", "least", "samples_per_second", "rate", "bare", "first_call")
COLUMNS = ("cell", "contestant", "operation", "threads", "status", "reason", "flags", *FIGURES)


def derived(run: Results) -> str:
    """Return all derived figures as JSON."""
    return json.dumps(record(run), indent=1, ensure_ascii=False) + "\n"


def record(run: Results) -> dict[str, Any]:
    """Return the doubts, the verdict, each cell and all rows; a row is an array under "columns"."""
    cells = []
    for one in run.slices:
        leads = run.leads(one)
        for cell in one.cells:
            facts = {"network": one.title, "cell": cell.name, "operation": one.operation}
            fastest = {"fastest": leads[cell][0], "not_slower": leads[cell]} if cell in leads else {}
            cells.append(
                facts | {"flops": cell.flops} | fastest | _against_others(run, cell, one.operation)
            )
    return {
        "schema": SCHEMA,
        "date": conditions.date(run),
        "machine": conditions.line(run),
        "doubts": conditions.doubts(run),
        "verdict": [str(paragraph) for paragraph in words.verdict(run)],
        "band": BAND,
        "cells": cells,
        "rates": [line.line() for line in run.records.rates],
        "columns": list(COLUMNS),
        "rows": [_row(figures) for figures in run.rows],
        "environments": run.environments,
    }


def _against_others(run: Results, cell: Cell, operation: str) -> dict[str, Any]:
    """Return how the fastest backend compares with the fastest of the other libraries, if there are any."""
    if not run.peers:
        return {}
    ours, other, standing, ratio, reason = run.match(cell, run.backends, run.peers, operation)
    if ratio is None or ours is None or other is None:
        return {"against_others": {"status": standing, "reason": reason}}
    names = {"ours": ours.place.contestant, "other": other.place.contestant, "standing": standing}
    times = zip(("times_as_fast", "low", "high"), map(_rounded, ratio), strict=True)
    return {"against_others": names | dict(times)}


def _row(figures: Figures) -> list[Any]:
    """Return the figures of a contestant in a cell, in the order of :data:`COLUMNS`."""
    cell, *place = figures.place
    return [
        *(cell.name, *place, figures.status, figures.reason, " ".join(figures.flags)),
        *(_rounded(getattr(figures, name)) for name in FIGURES),
    ]


def _rounded(value: float | None) -> float | None:
    """Return a value with few digits; ``None`` for infinity, which JSON does not have."""
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None
