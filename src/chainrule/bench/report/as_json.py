"""JSON: every derived figure, for machines."""

import math
from typing import Any

from chainrule.backends.speed_map.interval import Interval
from chainrule.bench.judge.results import Figures
from chainrule.bench.report import machine_facts, words
from chainrule.bench.report.findings import Findings, Match

SCHEMA = 1
DIGITS = 5  # significant ones: no time is known better

# Times in seconds a step, rates a second.
FIGURES = (
    *("step", "least", "samples_per_second", "rate", "bare", "share"),
    *("products", "elementwise", "dispatch", "enqueued_share", "first_call"),
)
COLUMNS = ("cell", "contestant", "operation", "threads", "status", "reason", "flags", *FIGURES)


def derived(found: Findings) -> dict[str, Any]:
    """Return the verdict, the standing of each cell, every row; a row is an array."""
    return {
        "schema": SCHEMA,
        "date": machine_facts.date(found),
        "machine": machine_facts.line(found),
        "verdict": [str(said) for said in words.verdict(found)],
        "band": found.band,
        "cells": [
            _cell(found, one.title, cell, one.operation) for one in found.slices for cell in one.cells
        ],
        "rates": [line.line() for line in found.results.records.rates],
        "columns": list(COLUMNS),
        "rows": [row(one) for one in found.rows],
        "environments": found.results.environments,
    }


def _cell(found: Findings, network: str, cell: Any, operation: str) -> dict[str, Any]:
    lead = found.lead(cell, operation)
    told = {"network": network, "cell": cell.name, "operation": operation, "flops": cell.flops}
    if lead is not None:
        told |= {"fastest": lead.first.place.contestant, "not_slower": list(lead.beside)}
    match = found.match(cell, found.backends, found.peers, operation)
    return told | ({"against_others": _match(found, match)} if found.peers else {})


def _match(found: Findings, match: Match) -> dict[str, Any]:
    if match.ratio is None or match.left is None or match.right is None:
        return {"status": match.lacking or "missing", "reason": match.reason}
    pairs = found.results.pairs(match.right.place, match.left.place)
    rounds = sum(map(len, pairs))
    names = {"ours": match.left.place.contestant, "other": match.right.place.contestant}
    return {**names, "standing": match.standing, **_ratio(match.ratio, rounds)}


def _ratio(ratio: Interval, rounds: int) -> dict[str, Any]:
    ends = {"times_as_fast": ratio.estimate, "low": ratio.low, "high": ratio.high}
    # JSON has no infinity: an end that few rounds leave open is null.
    return {name: _rounded(value) for name, value in ends.items()} | {"rounds": rounds}


def row(one: Figures) -> list[Any]:
    """Return what there is to say of a contestant in a cell, in the order of :data:`COLUMNS`."""
    place = one.place
    figures = [getattr(one, name) for name in FIGURES]
    told = [place.cell.name, place.contestant, place.operation, place.threads, one.status, one.reason]
    return [
        *told,
        " ".join(one.flags),
        *(None if value is None else _rounded(value) for value in figures),
    ]


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
