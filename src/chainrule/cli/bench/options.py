"""Options that several commands of the benchmark share, and what they say put into a plan."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from chainrule.bench import roster
from chainrule.bench.cells import DTYPES, GRID, PRESETS, QUICK_GRID, Cell, parse, preset
from chainrule.cli.options import option
from chainrule.mathematics.naming import check_known
from chainrule.program.machine import cores

FOLDER = Path("bench-results")
BEST = "best"

Contestants = Annotated[str | None, option("bench run.backend")]


def cells(
    names: str, grid: str | None, dtype: str, given: Sequence[str] | None, *, quick: bool
) -> list[Cell]:
    """Return the cells that the options name."""
    if given:
        return [parse(name) for name in given]
    chosen = list(PRESETS) if names == "all" else listed("preset", names, list(PRESETS))
    wanted = grid or (QUICK_GRID if quick else GRID)
    dtypes = listed("dtype", dtype, list(DTYPES))
    return [cell for name in chosen for kind in dtypes for cell in preset(name, wanted, kind)]


def contestants(named: str | None, *, peers: bool) -> list[str]:
    """Return who takes part, with the bare products of their libraries: those named, else every backend that is installed."""
    if named is not None:
        names = [roster.entry(name).name for name in words(named)]
    else:
        names = [name for name in roster.of(roster.BACKEND) if roster.entry(name).is_at_hand]
    if peers:
        others = map(roster.entry, roster.of(roster.PEER))
        names += [peer.name for peer in others if peer.is_at_hand and not peer.is_slow_to_make]
    return roster.with_products(names)


def threads(given: str | None) -> tuple[int, ...]:
    """Return the numbers of threads to measure with; 0 is each library's own choice.

    Examples
    --------
    >>> threads(None), threads("1,2")
    ((0,), (1, 2))
    """
    if given is None:
        return (0,)
    if given == BEST:
        return tuple(2**power for power in range(cores().bit_length()) if 2**power <= cores())
    if not all(word.isdecimal() and int(word) for word in words(given)):
        msg = f"--threads {given}: wanted whole numbers of 1 or more with commas, or {BEST}"
        raise ValueError(msg)
    return tuple(int(word) for word in words(given))


def listed(kind: str, given: str, known: list[str]) -> list[str]:
    """Return the names in ``given``, each of which must be known."""
    for name in words(given):
        check_known(kind, name, known)
    return words(given)


def words(given: str) -> list[str]:
    """Return the words between the commas.

    Examples
    --------
    >>> words("numpy, jax")
    ['numpy', 'jax']
    """
    return [word.strip() for word in given.split(",") if word.strip()]
