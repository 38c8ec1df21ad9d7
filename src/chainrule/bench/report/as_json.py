"""JSON: every derived figure, for machines."""

import math
from typing import Any

from chainrule.bench.cells import Cell
from chainrule.bench.judge.results import Figures
from chainrule.bench.report import conditions, words
from chainrule.bench.report.findings import Findings, Match

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


def derived(found: Findings) -> dict[str, Any]:
    """Return the doubts, the verdict, each cell and all rows; a row is an array under "columns"."""
    return {
        "schema": SCHEMA,
        "date": conditions.date(found),
        "machine": conditions.line(found),
        "doubts": conditions.doubts(found),
        "verdict": [str(paragraph) for paragraph in words.verdict(found)],
        "band": found.band,
        "cells": [
            _cell(found, one.title, cell, one.operation) for one in found.slices for cell in one.cells
        ],
        "rates": [line.line() for line in found.results.records.rates],
        "columns": list(COLUMNS),
        "rows": [_row(figures) for figures in found.rows],
        "environments": found.results.environments,
    }


def _cell(found: Findings, network: str, cell: Cell, operation: str) -> dict[str, Any]:
    record = {"network": network, "cell": cell.name, "operation": operation, "flops": cell.flops}
    lead = found.lead(cell, operation)
    if lead is not None:
        record |= {"fastest": lead.name, "not_slower": [lead.name, *lead.rivals]}
    if found.peers:
        record["against_others"] = _match(found.match(cell, found.backends, found.peers, operation))
    return record


def _match(match: Match) -> dict[str, Any]:
    if match.ratio is None or match.left is None or match.right is None:
        return {"status": match.lacking or "missing", "reason": match.reason}
    return {
        "ours": match.left.place.contestant,
        "other": match.right.place.contestant,
        "standing": match.standing,
        "times_as_fast": _rounded(match.ratio.estimate),
        "low": _rounded(match.ratio.low),
        "high": _rounded(match.ratio.high),
    }


def _row(figures: Figures) -> list[Any]:
    """Return the figures of a contestant in a cell, in the order of :data:`COLUMNS`."""
    place = figures.place
    limit = figures.limit.seconds if figures.limit else None
    return [
        *(place.cell.name, place.contestant, place.operation, place.threads),
        *(figures.status, figures.reason, " ".join(figures.flags)),
        *map(_rounded, (limit, *(getattr(figures, name) for name in FIGURES))),
    ]


def _rounded(value: float | None) -> float | None:
    """Return a value with few digits; ``None`` for infinity, which JSON does not have."""
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None
