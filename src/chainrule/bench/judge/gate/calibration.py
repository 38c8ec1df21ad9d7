"""Calibration: how far ratios vary on this machine by themselves, found by measuring A against A.

The same contestant runs twice, as two processes that take turns. Its two selves take the same time; what
their ratio says beside 1 is the machine's and the method's own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from chainrule.bench import roster
from chainrule.bench.judge.gate import ratios
from chainrule.bench.judge.gate.ratios import Pair
from chainrule.bench.judge.statistics import Ratio
from chainrule.program.machine import cache_folder, cores, processor

CELLS = ("2-4-1,4", "64-16-10,32", "64-64-10,64")
SETS = 5  # of processes: more than a gate takes
LEAST, SPREADS = 0.25, 3.0  # the band: at least so much, or so many times the spread


@dataclass(frozen=True)
class Calibration:
    """What A against A came to on a machine.

    Attributes
    ----------
    machine
        The processor and the number of its cores.
    contestant
        Who was measured against itself.
    ratios
        By cell: the estimate and the ends of its interval. The truth is 1.
    """

    machine: str
    contestant: str
    ratios: Mapping[str, tuple[float, float, float]]

    @property
    def spread(self) -> float:
        """The farthest that an estimate lies from 1, as a share.

        Not the farthest that an interval reaches: who asks whether a ratio is above a band asks it of the
        interval, which knows of the rounds' own noise.

        Examples
        --------
        >>> round(Calibration("a machine", "numpy", {"2-4-1,4": (0.96, 0.91, 1.03)}).spread, 4)
        0.0417
        """
        return max(max(estimate, 1 / estimate) for estimate, _, _ in self.ratios.values()) - 1

    @property
    def band(self) -> float:
        """How far a ratio may lie above what is expected before it says anything: ``max(25 %, 3 spreads)``."""
        return max(LEAST, SPREADS * self.spread)


def calibrate(contestant: str = "numpy", cells: Sequence[str] = CELLS, sets: int = SETS) -> Calibration:
    """Measure a contestant against itself, at one thread.

    Raises
    ------
    RuntimeError
        If it cannot run here; the message says why.
    """
    other = twin(contestant)
    got = ratios.measured([Pair(cell, contestant, other) for cell in cells], sets)
    if missing := [
        f"{contestant} in {pair.cell}: {why}" for pair, why in got.items() if isinstance(why, str)
    ]:
        msg = f"nothing was calibrated: {'; '.join(missing)}"
        raise RuntimeError(msg)
    found = {pair.cell: ratio[:3] for pair, ratio in got.items() if isinstance(ratio, Ratio)}
    return Calibration(machine(), contestant, found)


def twin(contestant: str) -> str:
    """Return another name of the same contestant.

    Raises
    ------
    ValueError
        If it is one of your own.

    Examples
    --------
    >>> twin("numpy")
    'chainrule.bench.contestants.ours:numpy'
    """
    entry = roster.entry(contestant)
    if entry.name == entry.code:
        msg = f"{contestant!r} has one name only; calibrate with one of: {', '.join(roster.ROSTER)}"
        raise ValueError(msg)
    return f"chainrule.bench.{entry.code}"


def machine() -> str:
    """Return what is calibrated: nothing that tells whose it is."""
    return f"{processor()}, {cores()} cores"


def file() -> Path:
    """Return where the calibration of this machine is kept: in the user's cache."""
    return cache_folder() / "calibration.json"


def keep(calibration: Calibration, at: Path | None = None) -> Path:
    """Write a calibration, and return where."""
    place = at or file()
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(asdict(calibration), indent=1) + "\n", encoding="utf-8")
    return place


def kept(at: Path | None = None) -> Calibration | None:
    """Return the calibration of this machine, if it was ever measured; not that of another."""
    try:
        found = json.loads((at or file()).read_text(encoding="utf-8"))
        held = Calibration(
            found["machine"],
            found["contestant"],
            {cell: tuple(ratio) for cell, ratio in found["ratios"].items()},
        )
        return held if held.machine == machine() and held.band > 0 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
