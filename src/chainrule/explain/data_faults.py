"""The table: features of one size, and targets that belong to their rows."""

from collections.abc import Iterator

import numpy as np

from chainrule.explain.evidence import FEWEST
from chainrule.explain.records import Flag

_LARGEST, _SPREAD = 10.0, 100.0  # rms of a column, and against the middle one
_ROWS, _OUTPUTS, _SHUFFLES = 300, 16, 99  # the shuffles lie in memory together
_QUESTION = "whether y belongs to the rows of X"
_KIND, _WHERE = "targets misaligned", "y against X"
_RELATED, _UNRELATED, _SURE = 0.05, 0.2, 5.0  # two p-values, and standard deviations


def features(X: np.ndarray) -> Iterator[Flag]:
    """Yield columns that are far from unit size, or far from one another."""
    sizes = np.sqrt(np.mean(np.square(X.astype(np.float64)), axis=0))  # (d,)
    column, largest, middle = int(sizes.argmax()), float(sizes.max()), float(np.median(sizes))
    if largest <= _LARGEST and not (largest > 1.0 and largest > _SPREAD * middle > 0):
        return
    what = f"column {column} is of size {largest:.3g} (rms), the middle column of {middle:.3g}"
    remedy = (
        "bring every column to mean 0 and deviation 1 (chainrule.data.scaling.Scaler.fit(X).apply(X))"
    )
    yield Flag("unscaled features", "X", what, remedy)


def targets(X: np.ndarray, Y: np.ndarray) -> Iterator[Flag | str]:
    """Tell whether ``X (n, d)`` says anything of ``Y (n, k)``, by shuffling the rows of ``Y``.

    Two measures: how near the targets of nearest neighbours are, and how much a linear fit explains.
    Then the ways are tried in which a reshape in the place of a transpose mixes rows: undone, the
    table says much more. Where it cannot be told, that is yielded in words.
    """
    if flag := _mixed_one_hot(Y):
        yield flag
    elif len(Y) < FEWEST:
        few = "1 row is" if len(Y) == 1 else f"{len(Y)} rows are"
        yield f"{_QUESTION} ({few} too few to tell)"
    elif np.ptp(Y, axis=0).max() == 0 or np.ptp(X, axis=0).max() == 0:
        yield f"{_QUESTION} (one of them is constant)"
    else:
        yield from _Shuffled(X, Y).judged()


class _Shuffled:
    """Targets against their rows, and against shuffled rows."""

    def __init__(self, X: np.ndarray, Y: np.ndarray) -> None:
        rng, (n, k) = np.random.default_rng(0), Y.shape
        self._X, self._Y = X, Y
        self._rows = np.sort(rng.choice(n, min(n, _ROWS), replace=False))  # (rows,)
        # Many outputs are mixed into a few: what neighbours share, their mixtures share.
        self._mix = rng.standard_normal((k, _OUTPUTS)) if k > _OUTPUTS else np.eye(k)  # (k, m)
        self._measure = _Measure(X[self._rows])
        some = self._some(Y)
        orders = np.argsort(rng.random((_SHUFFLES, len(some))), axis=1)  # (shuffles, rows)
        self._chance = self._measure.of(some[orders])  # (shuffles, 2)
        self._given = self._measure.of(some)  # (2,)

    def judged(self) -> Iterator[Flag | str]:
        """Yield what there is to say."""
        surely = self._surely(self._given)
        p = _p_value(self._given, self._chance)
        for how, X, Y in _untangled(self._X, self._Y):
            measure = self._measure if X is self._X else _Measure(X[self._rows])
            if self._surely(measure.of(self._some(Y))) > max(_SURE, 2 * surely):
                some = "something" if surely > _SURE else "little or nothing"
                what = (
                    f"X says {some} of y (against shuffled rows p = {p:.2f}), but much more with {how}"
                )
                remedy = f"use {how}, or .T in the place of reshape where it was made"
                yield Flag(_KIND, _WHERE, what, remedy)
                return
        if surely <= _SURE:
            yield from _unrelated(p)

    def _some(self, Y: np.ndarray) -> np.ndarray:
        """Return the targets that are looked at, ``(rows, m)``."""
        some: np.ndarray = Y[self._rows] @ self._mix
        return some

    def _surely(self, measured: np.ndarray) -> float:
        """Return how far a measure is above chance, in deviations; half its reach counts as one too.

        Where few targets differ from the rest, chance reaches much further than its deviation says.
        """
        above = measured - self._chance.mean(axis=0)  # (2,)
        reach = np.max(self._chance, axis=0) - self._chance.mean(axis=0)  # (2,)
        return float(np.max(above / np.maximum(self._chance.std(axis=0), 0.5 * reach)))


def _unrelated(p: float) -> Iterator[Flag | str]:
    if p <= _RELATED:
        return
    if p <= _UNRELATED:
        yield f"{_QUESTION} (p = {p:.2f})"
        return
    what = f"X says nothing of y: neighbours and a linear fit do no better than with rows shuffled (p = {p:.2f})"
    remedy = (
        "look whether y was shuffled, sorted or reshaped apart from X; else these features do not tell"
    )
    yield Flag(_KIND, _WHERE, what, remedy)


def _untangled(X: np.ndarray, Y: np.ndarray) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each way to undo one reshape, and the table without it."""
    (n, d), k = X.shape, Y.shape[1]
    if k > 1:
        yield f"y.reshape({k}, {n}).T", X, Y.reshape(k, n).T
    if d > 1:
        yield f"X.reshape({d}, {n}).T", X.reshape(d, n).T, Y
    for a in range(2, n // 2 + 1):
        if n % a == 0:
            order = np.arange(n).reshape(a, n // a).T.reshape(-1)  # (n,)
            yield f"y.reshape({a}, {n // a}).T.reshape(-1)", X, Y[order]


class _Measure:
    """How much features say of targets: larger is more, two figures."""

    def __init__(self, X: np.ndarray) -> None:
        X = X.astype(np.float64) - X.mean(axis=0)  # (n, d)
        deviation = X.std(axis=0)  # (d,)
        X = X[:, deviation > 0] / deviation[deviation > 0]
        squares = np.sum(X * X, axis=1)  # (n,)
        apart = squares[:, None] + squares - 2 * (X @ X.T)  # (n, n)
        np.fill_diagonal(apart, np.inf)
        self._nearest = apart.argmin(axis=1)  # (n,)
        U, S, _ = np.linalg.svd(X, full_matrices=False)
        rank = int(np.count_nonzero(S / S.max(initial=1e-300) > 1e-9))
        self._basis = U[:, : min(rank, len(X) // 4)]  # (n, r)   more would explain anything

    def of(self, Y: np.ndarray) -> np.ndarray:
        """Return both figures ``(..., 2)`` for targets ``(..., n, k)``."""
        Y = Y.astype(np.float64) - Y.mean(axis=-2, keepdims=True)  # (..., n, k)
        apart = np.mean(np.square(Y - Y[..., self._nearest, :]), axis=(-2, -1))  # (...,)
        explained = np.sum(np.square(self._basis.T @ Y), axis=(-2, -1))  # (...,)
        return np.stack([-apart, explained], axis=-1)


def _p_value(measured: np.ndarray, chance: np.ndarray) -> float:
    """Return how often shuffles do as well by the better of two measures, counted twice for the choice."""
    beaten = (1 + np.sum(chance >= measured, axis=0)) / (1 + len(chance))  # (2,)
    return float(min(1.0, 2 * beaten.min()))


def _mixed_one_hot(Y: np.ndarray) -> Flag | None:
    """Return a flag where one-hot rows were mixed by a reshape: they no longer sum to 1."""
    n, k = Y.shape
    if k < 2 or not np.isin(Y, (0, 1)).all() or (Y.sum(axis=1) == 1).all():
        return None
    if not (Y.reshape(k, n).sum(axis=0) == 1).all():
        return None
    row = int(np.argmin(Y.sum(axis=1) == 1))
    what = f"row {row} of y sums to {Y[row].sum():g}, but every row of y.reshape({k}, {n}).T to 1"
    return Flag(_KIND, _WHERE, what, "use y.T in the place of reshape")
