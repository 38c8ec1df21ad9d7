"""Units: those that pass no gradient on, and those that all do the same.

What the given rows cannot decide is a line of text instead of a flag.
"""

from collections.abc import Collection, Iterator

import numpy as np

from chainrule.explain.evidence import FEWEST, Curve, Evidence
from chainrule.explain.faults import flag
from chainrule.explain.records import Flag

_MOST = 0.6  # of a layer's slopes that may be flat
_MOST_DEAD = 0.5  # of a layer's units


def _slopes(evidence: Evidence, but: Collection[str]) -> Iterator[tuple[int, Curve, np.ndarray]]:
    """Yield the number, the activation and ``|dA_dZ| (n, n_l)`` of each layer, ``but`` for some."""
    for number, curve in enumerate(evidence.curves, start=1):
        if f"layer {number}" not in but:
            yield number, curve, np.abs(evidence.arrays[f"dA_dZ{number}"])


def saturated(evidence: Evidence, but: Collection[str] = ()) -> Iterator[Flag | str]:
    """Yield layers whose activation is flat, in a network that has not learnt.

    In one that has learnt, a flat sigmoid is a decided one.
    """
    for number, curve, dA_dZ in _slopes(evidence, but):
        share = float(np.mean(dA_dZ < curve.flat))
        if evidence.has_learnt or not curve.saturates or share < _MOST:
            continue
        if evidence.loss_of_guess == 0.0:  # one answer for all rows is right, so nobody has learnt more
            yield f"whether layer {number} is flat too soon (y is the same in every row)"
        else:
            median = np.median(np.abs(evidence.arrays[f"Z{number}"]))
            figures = {"layer": number, "share": share, "median": median}
            yield flag("saturated units", f"layer {number}", curve=curve, **figures)


def dead(evidence: Evidence, but: Collection[str] = ()) -> Iterator[Flag | str]:
    """Yield layers where half of the units or more are on the flat side for every row.

    A healthy relu is flat on every second row, so a few rows tell only if all units are dead.
    """
    rows = evidence.rows
    for number, curve, dA_dZ in _slopes(evidence, but):
        units = np.all(dA_dZ <= 1e-6 * curve.steepest, axis=0)  # (n_l,)
        if not curve.dies or units.mean() < _MOST_DEAD:
            continue
        if rows == 1 or (rows < FEWEST and not units.all()):
            few = "1 row is" if rows == 1 else f"{rows} rows are"
            yield f"whether units of layer {number} are dead ({few} too few to tell)"
        else:
            counts = {"layer": number, "dead": units.sum(), "units": units.size}
            yield flag("dead units", f"layer {number}", **counts)


def symmetric(evidence: Evidence) -> Iterator[Flag]:
    """Yield hidden layers where half of the units or more are, and stay, copies of another."""
    arrays, hidden = evidence.arrays, range(1, evidence.depth)
    no_weights = not any(arrays[f"W{number}"].any() for number in (*hidden, evidence.depth))
    for number in hidden:
        W, b = arrays[f"W{number}"], arrays[f"b{number}"]
        slopes = np.vstack([arrays[f"dL_dW{number}"], arrays[f"dL_db{number}"]])  # (n_in + 1, n_l)
        copies, units = _copies(np.vstack([W, b]), slopes), W.shape[1]
        if copies >= 0.5 * units or (units == 1 and no_weights):
            same = "the same weights" if W.any() else "weights of 0"
            counts = {"copies": copies or 1, "units": units, "same": same}
            yield flag("symmetric weights", f"layer {number}", **counts)


def _copies(parameters: np.ndarray, slopes: np.ndarray) -> int:
    """Return how many columns have a twin, in the parameters and in their gradient."""
    _, groups = np.unique(parameters, axis=1, return_inverse=True)
    tolerance = 1e-6 * np.abs(slopes).max(initial=0.0)  # products of equal columns may round apart
    count = 0
    for group in np.unique(groups):
        inside = slopes[:, groups.reshape(-1) == group]
        if inside.shape[1] > 1 and np.ptp(inside, axis=1).max() <= tolerance:
            count += inside.shape[1]
    return count
