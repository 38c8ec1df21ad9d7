"""Rates: how the size of the gradient changes from layer to layer, and the learning rate."""

import math
from collections.abc import Iterator

import numpy as np

from chainrule.explain.evidence import Evidence
from chainrule.explain.faults import flag
from chainrule.explain.records import Flag, Update

_LOST, _BLOWN = 1e-3, 1e3  # of the last layer's gradient
_LEAST_CHANGE = 3e-6  # of the weights, in one step
_LEAST_PULL = 1e-3  # of the gradient against the weights; below it, a small step is not the rate's fault
_FAR = 10.0  # a change against the weights, or against those of a usual start where these are larger
_USUAL = 0.01  # a change against the weights


def through_layers(evidence: Evidence) -> Iterator[Flag]:
    """Yield the layer whose gradient has vanished or exploded most, compared with the last layer's."""
    dL_dZ = [evidence.arrays[f"dL_dZ{number}"] for number in range(1, evidence.depth + 1)]
    sizes = np.array([np.sqrt(np.mean(np.square(part, dtype=np.float64))) for part in dL_dZ])  # (depth,)
    if evidence.depth == 1 or sizes[-1] == 0.0 or evidence.has_learnt:
        return
    shares = sizes / sizes[-1]  # (depth,)
    faults = {"vanishing gradient": shares.argmin(), "exploding gradient": shares.argmax()}
    for kind, place in faults.items():
        if 0.0 < shares[place] < _LOST or shares[place] > _BLOWN:
            figures = {"share": shares[place], "shares": ", ".join(f"{s:.2g}" for s in shares)}
            yield flag(kind, f"layer {place + 1}", layer=place + 1, **figures)


def step_length(evidence: Evidence) -> Iterator[Flag]:
    """Yield a flag for a learning rate that overshoots, or that changes nothing."""
    weights = [u for u in evidence.updates if u.name.startswith("W") and u.norm > 0]
    if not weights:
        return
    most = max(weights, key=lambda update: update.ratio)
    ratio, rate = most.ratio, evidence.learning_rate
    where = f"learning_rate={rate:g}"
    if _rises(evidence, ratio) or any(map(_is_far, weights)):
        figures = {"before": evidence.loss_before, "after": evidence.loss_after, "name": most.name}
        advised = _rounded(rate * min(0.1, _USUAL / ratio))
        figures |= {"rows": evidence.rows, "ratio": ratio, "rate": advised}
        yield flag("learning rate too large", where, **figures)
        return
    usual = max(update.gradient / update.norm for update in weights)  # of plain descent at rate 1
    pull = max(usual, ratio / rate if rate else 0.0)
    if ratio < _LEAST_CHANGE and pull > _LEAST_PULL and not evidence.has_learnt:
        yield flag("learning rate too small", where, ratio=ratio, rate=_rounded(0.1 * _USUAL / pull))


def _rises(evidence: Evidence, ratio: float) -> bool:
    """Return whether the step makes the loss much worse, or changes all weights without effect.

    Near its goal a good rate overshoots, too, the more so with an optimizer that starts from zero: there
    the loss rises many times over and is still small, compared with that of a guess.
    """
    before, after, guess = evidence.loss_before, evidence.loss_after, evidence.loss_of_guess
    if not math.isfinite(after) or (ratio > 1.0 and after >= 0.9 * before):
        return True
    matters = ratio > 0.1 if guess == 0.0 else after > 0.2 * guess
    return matters and after > 1.5 * before


def _is_far(update: Update) -> bool:
    """Return whether the step leaves nothing of a weight matrix, even if it lowers the loss by luck."""
    n_in, n_out = update.shape
    usual = math.sqrt(2.0 * n_in * n_out / (n_in + n_out))  # the norm of Glorot's start
    return update.change > _FAR * max(update.norm, usual)


def _rounded(rate: float) -> str:
    """Return the nearest power of ten."""
    return f"{10.0 ** round(math.log10(rate)):g}" if rate > 0 else "a lower rate"
