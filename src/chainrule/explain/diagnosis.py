"""Diagnosis: the checks of a step, with their limits; root causes come first.

``faults.toml`` has the text and the remedy of each fault. NaN and infinity come before all others: see
``nonfinite.py``. A check that the rows cannot decide yields a line of text instead of a flag.
"""

import math
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from chainrule.backends import Backend
from chainrule.explain.records import Flag, Update
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.step import Batch

_FAULTS = tomllib.loads(Path(__file__).with_name("faults.toml").read_text(encoding="utf-8"))
_FAR = 20.0  # an input at which every common activation has its limiting slope
_VERY_FAR = (1e3, 1e6)  # inputs between which a bounded activation does not change
_FLAT = 0.04  # relative to the steepest slope; a sigmoid is below it outside ±4.6
FEWEST = 20  # rows; fewer may agree by coincidence


class Curve(NamedTuple):
    """The shape of an activation: its slopes, and the range of its values."""

    name: str
    steepest: float  # its largest slope
    flat: float  # slopes below it count as flat
    saturates: bool  # whether it is flat on both sides, as a sigmoid is
    dies: bool  # whether it is flat on one side only, as a relu is
    low: float  # -inf without a lower bound
    high: float


@dataclass(frozen=True)
class Evidence:
    """The arrays of a step by name, and the numbers to judge them by."""

    arrays: Mapping[str, np.ndarray]
    curves: tuple[Curve, ...]  # one for each layer's activation
    updates: tuple[Update, ...]
    learning_rate: float
    loss_before: float
    loss_after: float
    loss_of_guess: float  # the loss of predicting the mean target for every row

    @property
    def has_learnt(self) -> bool:
        """Whether the loss is at most half the loss of a constant prediction."""
        return 0.0 < self.loss_of_guess >= 2.0 * self.loss_before


@lru_cache(maxsize=64)
def curve(activation: Activation, backend: Backend) -> Curve:
    """Return the shape of an activation, from its values and derivatives at many inputs."""
    near = np.linspace(-_FAR, _FAR, 161)  # (161,)
    Z = backend.asarray(np.concatenate([near, _VERY_FAR, np.negative(_VERY_FAR)])[None, :])  # (1, 165)
    with backend.quiet():
        A = activation.value(Z)  # (1, 165)
        values = backend.to_numpy(A)[0].astype(np.float64)  # (165,)
        dA_dZ = np.abs(backend.to_numpy(activation.derivative(Z, A)))[0, :161]  # (161,)
        low, high = values.min(), values.max()
        for far, farther in (values[161:163], values[163:]):
            if not abs(farther - far) <= 1e-2 * np.ptp(values[:161]):  # not bounded on this side
                low, high = (-np.inf, high) if farther < far else (low, np.inf)
    steepest = float(dA_dZ.max())
    left, right = (dA_dZ[[0, -1]] < _FLAT * steepest).tolist()
    slopes = steepest, _FLAT * steepest, left and right, left != right
    return Curve(activation.name, *slopes, float(low), float(high))


def loss_of_guess(batch: Batch, net: Architecture, backend: Backend) -> float:
    """Return the loss of predicting the mean target for every row.

    The mean of a few rows says little. If the targets of a few rows are classes, the answer is equal
    probabilities.
    """
    Y = backend.to_numpy(batch.Y)  # (n, n_L)
    guess = np.broadcast_to(Y.mean(axis=0, keepdims=True), Y.shape)  # (n, n_L)
    if len(Y) < FEWEST and np.isin(Y, (0, 1)).all():
        alike = 1 / Y.shape[1] if (Y.sum(axis=1) == 1).all() and Y.shape[1] > 1 else 0.5
        guess = np.full_like(Y, alike)  # (n, n_L)
    if net.loss.logits:
        inside = np.clip(guess, 1e-12, 1 - 1e-12)  # (n, n_L)
        others = 1.0 if net.loss.targets == "classes" else 1 - inside
        guess = np.log(inside / others)  # (n, n_L)
    A = backend.asarray(np.array(guess, dtype=Y.dtype))  # (n, n_L)
    with backend.quiet():
        return float(backend.to_numpy(net.loss.value(A, batch.Y, batch.weights)))


def flag(kind: str, where: str, **figures: Any) -> Flag:
    """Return the flag of a fault, with these numbers in its text.

    Examples
    --------
    >>> flag("learning rate too small", "learning_rate=1e-09", ratio=2e-9, rate="0.001").remedy
    'take about 0.001'
    """
    row = _FAULTS[kind]
    return Flag(kind, where, row["what"].format(**figures), row["remedy"].format(**figures))


_LARGEST, _SPREAD = 10.0, 100.0  # rms of a column; its ratio to the median column's
_MARGIN = 1e-3  # relative to the output's range; targets at its bounds can be approached
_CONTRADICTED = 0.5  # share of the rows


def features(X: np.ndarray) -> Iterator[Flag]:
    """Yield a flag if the largest column is far from unit size, or from the median column."""
    sizes = np.sqrt(np.mean(np.square(X.astype(np.float64)), axis=0))  # (d,)
    column, largest, median = int(sizes.argmax()), float(sizes.max()), float(np.median(sizes))
    if largest > _LARGEST or (largest > 1.0 and largest > _SPREAD * median > 0):
        yield flag("unscaled features", "X", column=column, largest=largest, median=median)


def mixed(Y: np.ndarray) -> Iterator[Flag]:
    """Yield a flag if a reshape instead of a transpose mixed the one-hot rows of ``Y (n, k)``."""
    n, k = Y.shape
    sums = Y.sum(axis=1)  # (n,)
    if k < 2 or not np.isin(Y, (0, 1)).all() or (sums == 1).all():
        return
    if (Y.reshape(k, n).sum(axis=0) == 1).all():
        row = int(np.argmin(sums == 1))
        yield flag("targets misaligned", "y", row=row, sum=sums[row], k=k, n=n)


def contradicted(X: np.ndarray, Y: np.ndarray) -> Iterator[Flag]:
    """Yield a flag if at least half of the rows equal another row of ``X (n, d)`` with another target."""
    hashes = [hash(row.tobytes()) for row in X]
    _, first, groups = np.unique(hashes, return_index=True, return_inverse=True)  # (groups,), (n,)
    differs = np.any(Y - Y[first[groups]], axis=1)  # (n,)   from the first row of its group
    inside = np.bincount(groups, weights=differs)[groups] > 0  # (n,)
    if inside.mean() >= _CONTRADICTED:
        row = int(np.argmax(differs))
        counts = {"count": inside.sum(), "rows": len(X), "first": first[groups[row]], "row": row}
        yield flag("contradicting targets", "y against X", **counts)


def out_of_reach(Y: np.ndarray, output: Curve) -> Iterator[Flag]:
    """Yield a flag if targets lie outside the range of the output activation."""
    span = output.high - output.low
    margin = _MARGIN * (span if np.isfinite(span) else 1.0)
    inside = np.clip(Y, output.low - margin, output.high + margin) == Y  # (n, n_out)
    if inside.all():
        return
    kinds = np.unique(Y)
    remedy = "use loss='mean_squared_error' with output_activation='identity'"
    if len(kinds) == 2:
        remedy = "give the two values as 0 and 1 with loss='binary_cross_entropy'"
    elif np.array_equal(kinds, np.arange(len(kinds))):
        remedy += ", or for classes loss='cross_entropy' with an output for each"
    if kinds[-1] > _LARGEST or kinds[0] < -_LARGEST:
        remedy += "; bring y to mean 0 and deviation 1"
    counts = {"count": np.sum(~inside), "size": Y.size, "smallest": kinds[0], "largest": kinds[-1]}
    yield flag("targets out of reach", "y", curve=output, remedy=remedy, **counts)


_MOST = 0.6  # largest share of a layer's slopes that may be flat
_MOST_DEAD = 0.5  # largest share of a layer's units that may be dead


def _slopes(evidence: Evidence, but: Collection[str]) -> Iterator[tuple[int, Curve, np.ndarray]]:
    """Yield the number, the activation and ``|dA_dZ| (n, n_l)`` of each layer, except those in ``but``."""
    for number, curve in enumerate(evidence.curves, start=1):
        if f"layer {number}" not in but:
            yield number, curve, np.abs(evidence.arrays[f"dA_dZ{number}"])


def saturated(evidence: Evidence, but: Collection[str] = ()) -> Iterator[Flag | str]:
    """Yield layers whose activation is flat, in a network that has not learnt.

    In a network that has learnt, a flat sigmoid is certain of its answer.
    """
    for number, curve, dA_dZ in _slopes(evidence, but):
        share = float(np.mean(dA_dZ < curve.flat))
        if evidence.has_learnt or not curve.saturates or share < _MOST:
            continue
        if evidence.loss_of_guess == 0.0:  # a constant prediction is right for all rows
            yield f"whether layer {number} is flat too soon (y is the same in every row)"
        else:
            median = np.median(np.abs(evidence.arrays[f"Z{number}"]))
            figures = {"layer": number, "share": share, "median": median}
            yield flag("saturated units", f"layer {number}", curve=curve, **figures)


def dead(evidence: Evidence, but: Collection[str] = ()) -> Iterator[Flag | str]:
    """Yield layers where at least half of the units are on the flat side for every row.

    A healthy relu is flat on every second row, so a few rows are enough only if all units are dead.
    """
    rows = len(evidence.arrays["X"])
    for number, curve, dA_dZ in _slopes(evidence, but):
        units = np.all(dA_dZ <= 1e-6 * curve.steepest, axis=0)  # (n_l,)
        if not curve.dies or units.mean() < _MOST_DEAD:
            continue
        if rows == 1 or (rows < FEWEST and not units.all()):
            few = "1 row is" if rows == 1 else f"{rows} rows are"
            yield f"whether units of layer {number} are dead ({few} too few to tell)"
        else:
            where = f"layer {number}"
            yield flag("dead units", where, layer=number, dead=units.sum(), units=units.size)


def symmetric(evidence: Evidence) -> Iterator[Flag]:
    """Yield hidden layers where at least half of the units are, and remain, copies of another."""
    arrays, depth = evidence.arrays, len(evidence.curves)
    no_weights = not any(arrays[f"W{number}"].any() for number in range(1, depth + 1))
    for number in range(1, depth):
        W, b = arrays[f"W{number}"], arrays[f"b{number}"]
        slopes = np.vstack([arrays[f"dL_dW{number}"], arrays[f"dL_db{number}"]])  # (n_in + 1, n_l)
        copies, units = _copies(np.vstack([W, b]), slopes), W.shape[1]
        if copies >= 0.5 * units or (units == 1 and no_weights):
            same = "the same weights" if W.any() else "weights of 0"
            where = f"layer {number}"
            yield flag("symmetric weights", where, copies=copies or 1, units=units, same=same)


def _copies(parameters: np.ndarray, slopes: np.ndarray) -> int:
    """Return how many columns equal another one, in the parameters and in their gradient."""
    _, groups, counts = np.unique(parameters, axis=1, return_inverse=True, return_counts=True)
    tolerance = 1e-6 * np.abs(slopes).max(initial=0.0)  # products of equal columns may round differently
    alike = [slopes[:, groups.ravel() == group] for group in np.flatnonzero(counts > 1)]
    return sum(part.shape[1] for part in alike if np.ptp(part, axis=1).max() <= tolerance)


_LOST, _BLOWN = 1e-3, 1e3  # relative to the last layer's gradient: vanished below, exploded above
_LEAST_CHANGE = 3e-6  # relative to the weights, in one step
_LEAST_PULL = 1e-3  # gradient relative to the weights; below it, the rate does not explain a small step
_TOO_FAR = 10.0  # change relative to the weights, or to the usual initial ones if larger
_USUAL = 0.01  # usual change relative to the weights


def through_layers(evidence: Evidence) -> Iterator[Flag]:
    """Yield the layer whose gradient has vanished or exploded most, compared with the last layer's."""
    dL_dZ = [evidence.arrays[f"dL_dZ{number}"] for number in range(1, len(evidence.curves) + 1)]
    sizes = np.array([np.sqrt(np.mean(np.square(part, dtype=np.float64))) for part in dL_dZ])  # (depth,)
    if sizes[-1] == 0.0 or evidence.has_learnt:
        return
    shares = sizes / sizes[-1]  # (depth,)
    faults = {"vanishing gradient": shares.argmin(), "exploding gradient": shares.argmax()}
    for kind, place in faults.items():
        if 0.0 < shares[place] < _LOST or shares[place] > _BLOWN:
            figures = {"share": shares[place], "shares": ", ".join(f"{s:.2g}" for s in shares)}
            yield flag(kind, f"layer {place + 1}", layer=place + 1, **figures)


def step_length(evidence: Evidence) -> Iterator[Flag]:
    """Yield a flag if the learning rate overshoots, or changes nothing."""
    weights = [u for u in evidence.updates if u.name.startswith("W") and u.norm > 0]
    if not weights:
        return
    most = max(weights, key=lambda update: update.ratio)
    ratio, rate = most.ratio, evidence.learning_rate
    where = f"learning_rate={rate:g}"
    if _rises(evidence, ratio) or any(map(_is_far, weights)):
        rows, advised = len(evidence.arrays["X"]), _rounded(rate * min(0.1, _USUAL / ratio))
        yield flag("learning rate too large", where, step=evidence, most=most, rows=rows, rate=advised)
        return
    usual = max(update.gradient / update.norm for update in weights)  # ratio for SGD at rate 1
    pull = max(usual, ratio / rate if rate else 0.0)
    if ratio < _LEAST_CHANGE and pull > _LEAST_PULL and not evidence.has_learnt:
        yield flag("learning rate too small", where, ratio=ratio, rate=_rounded(0.1 * _USUAL / pull))


def _rises(evidence: Evidence, ratio: float) -> bool:
    """Return whether the step makes the loss much worse, or changes all weights without effect.

    Near a minimum a good rate overshoots, too, especially in the first step of an optimizer: there the loss
    rises many times over and is still small, compared with that of a guess.
    """
    before, after, guess = evidence.loss_before, evidence.loss_after, evidence.loss_of_guess
    if not math.isfinite(after) or (ratio > 1.0 and after >= 0.9 * before):
        return True
    matters = ratio > 0.1 if guess == 0.0 else after > 0.2 * guess
    return matters and after > 1.5 * before


def _is_far(update: Update) -> bool:
    """Return whether the step replaces a weight matrix, even if the loss happens to fall."""
    n_in, n_out = update.shape
    usual = math.sqrt(2.0 * n_in * n_out / (n_in + n_out))  # expected norm of Glorot's initial weights
    return update.change > _TOO_FAR * max(update.norm, usual)


def _rounded(rate: float) -> str:
    """Return the nearest power of ten."""
    return f"{10.0 ** round(math.log10(rate)):g}" if rate > 0 else "a lower rate"


def diagnosed(evidence: Evidence) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    """Return the flags of a finite step, and the faults that its rows are too few or too alike to rule out."""
    X, Y = evidence.arrays["X"], evidence.arrays["Y"]
    alike = list(symmetric(evidence))
    unreachable = list(out_of_reach(Y, evidence.curves[-1]))
    # Targets out of range make the output flat or dead.
    driven = {f"layer {len(evidence.curves)}"} if unreachable else set()
    results = [
        *features(X),
        *mixed(Y),
        *unreachable,
        *contradicted(X, Y),
        *alike,
        *saturated(evidence, but=driven),
        # A relu with weights of 0 is flat: its units are dead because they are symmetric.
        *dead(evidence, but=driven | {flag.where for flag in alike}),
        *through_layers(evidence),
        *step_length(evidence),
    ]
    flags = tuple(flag for flag in results if isinstance(flag, Flag))
    return flags, tuple(question for question in results if isinstance(question, str))
