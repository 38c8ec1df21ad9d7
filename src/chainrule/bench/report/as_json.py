"""The report as JSON: every derived figure, for machines."""

import json
import math
from typing import Any

from chainrule.bench.judge.figures import Figures, Match
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.statistics import BAND
from chainrule.bench.report import conditions, words

SCHEMA = 2
DIGITS = 5  # significant ones: no time is known better

# Times in seconds a step, rates a second.
FIGURES = (
    *("share", "step", "least", "samples_per_second", "rate", "bare"),
    *("products", "elementwise", "dispatch", "enqueued_share", "first_call"),
)
COLUMNS = (
    *("cell", "contestant", "operation", "threads", "status", "reason", "flags", "limit"),
    *FIGURES,
)


def derived(run: Results) -> str:
    """Return all derived figures as JSON."""
    return json.dumps(record(run), indent=1, ensure_ascii=False) + "\n"


def record(run: Results) -> dict[str, Any]:
    """Return the doubts, the verdict, each cell and all rows; a row is an array under "columns"."""
    cells: list[dict[str, Any]] = []
    for one in run.slices:
        for cell in one.cells:
            facts = {"network": one.title, "cell": cell.name, "operation": one.operation}
            lead = run.lead(cell, one.operation)
            fastest = {"fastest": lead.name, "not_slower": [lead.name, *lead.rivals]} if lead else {}
            cells.append(facts | {"flops": cell.flops} | fastest)
            if run.peers:
                match = run.match(cell, run.backends, run.peers, one.operation)
                cells[-1]["against_others"] = _match(match)
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


def _match(match: Match) -> dict[str, Any]:
    if match.ratio is None or match.left is None or match.right is None:
        return {"status": match.lacking or "missing", "reason": match.reason}
    sides = {"ours": match.left.place.contestant, "other": match.right.place.contestant}
    ratio = dict(zip(("times_as_fast", "low", "high"), map(_rounded, match.ratio), strict=True))
    return {**sides, "standing": match.standing, **ratio}


def _row(figures: Figures) -> list[Any]:
    """Return the figures of a contestant in a cell, in the order of :data:`COLUMNS`."""
    cell, *place = figures.place
    limit = figures.limit.seconds if figures.limit else None
    return [
        *(cell.name, *place, figures.status, figures.reason, " ".join(figures.flags)),
        *map(_rounded, (limit, *(getattr(figures, name) for name in FIGURES))),
    ]


def _rounded(value: float | None) -> float | None:
    """Return a value with few digits; ``None`` for infinity, which JSON does not have."""
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None
