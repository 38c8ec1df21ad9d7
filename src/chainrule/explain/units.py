"""Units: those that let no gradient through, and those that all do the same.

Where it cannot be told from the rows that are there, it is said in words instead of a flag.
"""

from collections.abc import Collection, Iterator

import numpy as np

from chainrule.explain.evidence import FEWEST, Evidence
from chainrule.explain.records import Flag

_MOST = 0.6  # of a layer's slopes that may be flat
_MOST_DEAD = 0.5  # of a layer's units


def saturated(evidence: Evidence, but: Collection[str] = ()) -> Iterator[Flag | str]:
    """Yield layers, ``but`` for some, whose activation is flat, in a network that has not learnt."""
    if evidence.has_learnt:  # then a flat sigmoid is a decided one
        return
    for number, curve in enumerate(evidence.curves, start=1):
        dA_dZ = np.abs(evidence.arrays[f"dA_dZ{number}"])  # (n, n_l)
        share = float(np.mean(dA_dZ < curve.flat))
        if curve.saturates and share >= _MOST and f"layer {number}" not in but:
            if evidence.loss_of_guess == 0.0:  # one answer for all rows is right: who has learnt?
                yield f"whether layer {number} is flat too soon (y is the same in every row)"
                continue
            Z = np.abs(evidence.arrays[f"Z{number}"])  # (n, n_l)
            what = (
                f"{share:.0%} of dA/dZ{number} is below {curve.flat:.2g} (at its steepest it is "
                f"{curve.steepest:.2g}); |Z{number}| is {np.median(Z):.3g} in the middle"
            )
            remedy = (
                "start from smaller weights (initializer='glorot_uniform') and features of about unit "
                "size; for a wrong output, a loss on logits"
            )
            yield Flag("saturated units", f"layer {number}", what, remedy)


def dead(evidence: Evidence, but: Collection[str] = ()) -> Iterator[Flag | str]:
    """Yield layers, ``but`` for some, where half of the units or more are on the flat side for every row.

    A healthy relu is flat on every second row: of a few rows only all units together say something.
    """
    rows = evidence.rows
    for number, curve in enumerate(evidence.curves, start=1):
        dA_dZ = np.abs(evidence.arrays[f"dA_dZ{number}"])  # (n, n_l)
        units = np.all(dA_dZ <= 1e-6 * curve.steepest, axis=0)  # (n_l,)
        if not curve.dies or units.mean() < _MOST_DEAD or f"layer {number}" in but:
            continue
        if rows == 1 or (rows < FEWEST and not units.all()):
            few = "1 row is" if rows == 1 else f"{rows} rows are"
            yield f"whether units of layer {number} are dead ({few} too few to tell)"
        else:
            what = (
                f"dA/dZ{number} is 0 on every row for {units.sum()} of {units.size} units: they pass "
                f"nothing on, and their weights stay as they are"
            )
            remedy = (
                f"draw W{number} anew (initializer='he_normal') with biases at 0, take a lower learning "
                "rate, or activation='gelu'"
            )
            yield Flag("dead units", f"layer {number}", what, remedy)


def symmetric(evidence: Evidence) -> Iterator[Flag]:
    """Yield hidden layers where half of the units or more are, and stay, copies of another."""
    for number in range(1, evidence.depth):
        W, b = evidence.arrays[f"W{number}"], evidence.arrays[f"b{number}"]
        slopes = np.vstack([evidence.arrays[f"dL_dW{number}"], evidence.arrays[f"dL_db{number}"]])
        copies = _copies(np.vstack([W, b]), slopes)
        if copies >= 0.5 * W.shape[1] or (W.shape[1] == 1 and _all_zero(evidence)):
            same = "every weight is 0" if not W.any() else "they have the same weights"
            what = (
                f"{copies or 1} of {W.shape[1]} units are alike: {same} and the same gradient, so that "
                "they stay alike for ever"
            )
            remedy = "draw the weights by chance (initializer='glorot_uniform'); biases may start at 0"
            yield Flag("symmetric weights", f"layer {number}", what, remedy)


def _all_zero(evidence: Evidence) -> bool:
    return not any(evidence.arrays[f"W{number}"].any() for number in range(1, evidence.depth + 1))


def _copies(parameters: np.ndarray, slopes: np.ndarray) -> int:
    """Return how many columns have a twin, in the parameters and in what would change them."""
    _, groups = np.unique(parameters, axis=1, return_inverse=True)
    tolerance = 1e-6 * np.abs(slopes).max(initial=0.0)  # products of equal columns may round apart
    count = 0
    for group in np.unique(groups):
        inside = slopes[:, groups.reshape(-1) == group]
        if inside.shape[1] > 1 and np.ptp(inside, axis=1).max() <= tolerance:
            count += inside.shape[1]
    return count
