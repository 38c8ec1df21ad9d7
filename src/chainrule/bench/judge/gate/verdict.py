"""The gate: is a step still what the table says? Counts first, then memory, then time beside the floor."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import NamedTuple

from chainrule.bench import roster
from chainrule.bench.cells import Cell, parse
from chainrule.bench.judge.gate import ratios
from chainrule.bench.judge.gate.counts import Counts, counts
from chainrule.bench.judge.gate.gates import Allowed, limit
from chainrule.bench.judge.gate.ratios import Pair
from chainrule.bench.judge.statistics import Ratio
from chainrule.bench.measure.peak_memory import Memory, asked

UPDATES = 3  # measurements, of which the median goes into the table
MEANT = "if it is meant: chainrule bench gate --update"

# Where there is no ratio, the reason.
Ratios = Mapping[Pair, Ratio | str]


class Finding(NamedTuple):
    """What does not hold."""

    where: str
    got: str
    wanted: str
    remedy: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.where}: got {self.got}, wanted {self.wanted}; {self.remedy}"


class Instruments(NamedTuple):
    """What the gate looks with."""

    counts: Callable[[Cell], Counts] = counts
    memory: Callable[[str, Cell], Memory] = asked
    ratios: Callable[[Sequence[Pair]], Ratios] = ratios.measured


def gate(
    allowed: Allowed,
    *,
    band: float = 0.0,
    instruments: Instruments | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> list[Finding]:
    """Return what does not hold of the table; an empty list opens the gate.

    Parameters
    ----------
    allowed
        The table.
    band
        How far ratios vary on this machine by themselves: see ``calibration``. The wider of it and the
        table's counts.
    instruments
        What to look with; the real ones unless given.
    say
        Is told what is looked at.
    """
    look = instruments or Instruments()
    say("counts")
    found = [finding for cell in allowed.counts for finding in _counted(cell, allowed, look)]
    for cell, named in allowed.memory.items():
        say(f"memory in {cell}")
        for name in named:
            found += _remembered(cell, name, named[name], look)
    return found + _timed(replace(allowed, band=max(band, allowed.band)), look, say)


def _counted(name: str, allowed: Allowed, look: Instruments) -> list[Finding]:
    try:
        got = look.counts(parse(name))._asdict()
    except RuntimeError as why:
        return [Finding(name, "no counts", "counts that agree", str(why))]
    wanted = allowed.counts[name]
    return [
        _count(f"{name}: {key.replace('_', ' ')}", got.get(key), wanted.get(key))
        for key in dict.fromkeys([*got, *wanted])
        if got.get(key) != wanted.get(key)
    ]


def _count(where: str, got: int | None, wanted: int | None) -> Finding:
    fewer = got is not None and wanted is not None and got < wanted
    remedy = (
        "fewer is better: chainrule bench gate --update" if fewer else f"find what is new, or {MEANT}"
    )
    return Finding(where, _said(got), _said(wanted), remedy)


def _said(count: int | None) -> str:
    return "none" if count is None else f"{count:,}"


def _remembered(cell: str, name: str, wanted: Mapping[str, int], look: Instruments) -> list[Finding]:
    where = f"{cell}: {name}"
    try:
        got = look.memory(name, parse(cell))
    except RuntimeError as why:
        return [Finding(where, "nothing measured", "its memory", str(why))]
    found = []
    if got.kept != wanted["kept"]:
        found.append(_count(f"{where}: arrays kept by ten passes", got.kept, wanted["kept"]))
    if got.rise is None or got.rise > wanted["most_rise"]:
        most, remedy = (
            f"at most {wanted['most_rise']:,}",
            f"find the array that is allocated, or {MEANT}",
        )
        found.append(Finding(f"{where}: bytes that a pass allocates", _said(got.rise), most, remedy))
    return found


def _timed(allowed: Allowed, look: Instruments, say: Callable[[str], object]) -> list[Finding]:
    """Return the ratios above their band, twice."""
    wanted = _wanted(allowed)
    suspects = list(wanted)
    got: Ratios = {}
    for attempt in ("time beside the floor", "once more what was above its band"):
        if suspects:
            say(attempt)
            got = look.ratios(suspects)
        suspects = [pair for pair in suspects if _is_above(got[pair], wanted[pair] * (1 + allowed.band))]
    return [_slow(pair, got[pair], wanted[pair], allowed.band) for pair in suspects]


def _wanted(allowed: Allowed) -> dict[Pair, float]:
    """Return the table's ratios: of each contestant to the floor of its library."""
    return {
        Pair(cell, name, roster.floor_of(name) or ""): ratio
        for cell, named in allowed.ratios.items()
        for name, ratio in named.items()
    }


def _is_above(got: Ratio | str, most: float) -> bool:
    return isinstance(got, str) or got.low > most


def _slow(pair: Pair, got: Ratio | str, wanted: float, band: float) -> Finding:
    where = f"{pair.cell}: {pair.over}: step / floor"
    if isinstance(got, str):
        return Finding(where, "nothing measured", f"{wanted:.3g}", got)
    remedy = f"find what takes longer (chainrule bench compare), or {MEANT}"
    seen = f"{got.estimate:.3g} ({got.low:.3g} to {got.high:.3g})"
    return Finding(where, seen, f"{wanted:.3g}, at most {band:.0%} more", remedy)


def updated(allowed: Allowed, instruments: Instruments | None = None) -> Allowed:
    """Return the table with what is found here in place of what it says; its cells and its band stay.

    Raises
    ------
    RuntimeError
        If something of it cannot be measured here; the message says what, and why.
    """
    look = instruments or Instruments()
    ratios: dict[str, dict[str, float]] = {cell: {} for cell in allowed.ratios}
    for pair, estimates in _repeated(list(_wanted(allowed)), look).items():
        ratios[pair.cell][pair.over] = median(estimates)
    memory = {
        cell: {name: _limits(look.memory(name, parse(cell))) for name in named}
        for cell, named in allowed.memory.items()
    }
    counts = {cell: look.counts(parse(cell))._asdict() for cell in allowed.counts}
    return replace(allowed, counts=counts, memory=memory, ratios=ratios)


def _repeated(pairs: Sequence[Pair], look: Instruments) -> dict[Pair, list[float]]:
    """Return the estimates of a few measurements: one is good enough to look at, not to hold others to."""
    found: dict[Pair, list[float]] = {pair: [] for pair in pairs}
    for _ in range(UPDATES):
        for pair, got in look.ratios(pairs).items():
            if isinstance(got, str):
                msg = f"the table was not written: {pair.over} in {pair.cell}: {got}"
                raise RuntimeError(msg)  # noqa: TRY004  not a type, a reason
            found[pair].append(got.estimate)
    return found


def _limits(got: Memory) -> dict[str, int]:
    return {"kept": got.kept or 0, "most_rise": limit(got.rise or 0)}
