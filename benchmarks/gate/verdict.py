"""The verdict of the gate: what a step does, allocates and takes, compared with the table."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from benchmarks.gate.allocations import allocations
from benchmarks.gate.counts import counts
from benchmarks.gate.gates import Gates, limit
from benchmarks.gate.ratios import SETS, Pair, measured
from chainrule.backends.speed_map.spots import Interval
from chainrule.bench.cells import parse

UPDATE = "nox -s gate -- --update"
MEANT = f"if it is intended: {UPDATE}"


def gate(table: Gates) -> list[str]:
    """Return a line for each entry of the table that does not hold: got, wanted, remedy."""
    lines = []
    for cell, wanted in table.counts.items():
        lines += _attempt(_check_counts, cell, wanted)
    for cell, limits in table.memory.items():
        for name, most in limits.items():
            lines += _attempt(_check_memory, cell, most, name)
    return lines + _check_ratios(table)


def _attempt(check: Callable[..., list[str]], cell: str, *details: Any) -> list[str]:
    """Return the lines of a check of a cell; where nothing could be measured, the reason."""
    try:
        return check(cell, *details)
    except RuntimeError as why:
        return [f"{cell}: nothing measured: {why}"]


def updated(table: Gates) -> Gates:
    """Return the table with everything measured again; its cells and its band stay.

    Raises
    ------
    RuntimeError
        If something cannot be measured here; the message says what, and why.
    """
    ratios: dict[str, dict[str, float]] = {cell: {} for cell in table.ratios}
    for pair, got in measured(list(_ratios(table)), sets=3 * SETS).items():
        if isinstance(got, str):
            msg = f"the table was not written: {pair.contestant} in {pair.cell}: {got}"
            raise RuntimeError(msg)  # noqa: TRY004  not a type, a reason
        ratios[pair.cell][pair.contestant] = got.estimate
    limits = {
        cell: {name: _limits(cell, name) for name in names} for cell, names in table.memory.items()
    }
    numbers = {cell: counts(parse(cell))._asdict() for cell in table.counts}
    return replace(table, counts=numbers, memory=limits, ratios=ratios)


def _limits(cell: str, name: str) -> dict[str, int]:
    got = allocations(name, parse(cell))
    return {"kept": got.kept, "most_rise": limit(got.rise)}


def _line(where: str, got: object, wanted: object, remedy: str) -> str:
    return f"{where}: got {got}, wanted {wanted}; {remedy}"


def _check_counts(cell: str, wanted: Mapping[str, int]) -> list[str]:
    got = counts(parse(cell))._asdict()
    return [
        _compare(f"{cell}: {key.replace('_', ' ')}", got.get(key), wanted.get(key))
        for key in dict.fromkeys([*got, *wanted])
        if got.get(key) != wanted.get(key)
    ]


def _compare(where: str, got: int | None, wanted: int | None) -> str:
    is_fewer = got is not None and wanted is not None and got < wanted
    remedy = f"fewer is better: {UPDATE}" if is_fewer else f"find what is new, or {MEANT}"
    return _line(where, got, wanted, remedy)


def _check_memory(cell: str, wanted: Mapping[str, int], name: str) -> list[str]:
    got, most, lines = allocations(name, parse(cell)), wanted["most_rise"], []
    if got.kept != wanted["kept"]:
        where = f"{cell}: {name}: arrays kept by ten passes"
        lines.append(_compare(where, got.kept, wanted["kept"]))
    if got.rise > most:
        remedy = f"find the array that is allocated, or {MEANT}"
        text = f"{cell}: {name}: bytes that a pass allocates"
        lines.append(_line(text, f"{got.rise:,}", f"at most {most:,}", remedy))
    return lines


def _check_ratios(table: Gates) -> list[str]:
    """Return a line for each ratio above its band; what is above it is measured a second time."""
    wanted = _ratios(table)
    got: Mapping[Pair, Interval | str] = {}
    suspects = list(wanted)
    for _ in range(2):
        got = measured(suspects) if suspects else got
        suspects = [p for p in suspects if _is_above(got[p], wanted[p] * (1 + table.band))]
    return [_slow(pair, got[pair], wanted[pair], table.band) for pair in suspects]


def _ratios(table: Gates) -> dict[Pair, float]:
    rows = table.ratios.items()
    return {Pair(cell, name): ratio for cell, ratios in rows for name, ratio in ratios.items()}


def _is_above(got: Interval | str, most: float) -> bool:
    return isinstance(got, str) or got.low > most


def _slow(pair: Pair, got: Interval | str, wanted: float, band: float) -> str:
    where = f"{pair.cell}: {pair.contestant}: step / products"
    if isinstance(got, str):
        return _line(where, "nothing measured", f"{wanted:.3g}", got)
    remedy = f"find what takes longer (chainrule bench compare), or {MEANT}"
    interval = f"{got.estimate:.3g} ({got.low:.3g} to {got.high:.3g})"
    return _line(where, interval, f"{wanted:.3g}, at most {band:.0%} more", remedy)
