"""Rates: how the size of the gradient changes from layer to layer, and the learning rate."""

import math
from collections.abc import Iterator

import numpy as np

from chainrule.explain.evidence import Evidence
from chainrule.explain.records import Flag, Update

_LOST, _BLOWN = 1e-3, 1e3  # of the last layer's gradient
_LEAST_CHANGE = 3e-6  # of the weights, in one step
_LEAST_PULL = 1e-3  # of the gradient against the weights, for such a step to be the rate's fault
_FAR = 10.0  # a change against the weights, or against those of a usual start where these are larger


def through_layers(evidence: Evidence) -> Iterator[Flag]:
    """Yield the layer where the gradient has vanished or exploded most, against the last layer's."""
    sizes = [_rms(evidence.arrays[f"dL_dZ{number}"]) for number in range(1, evidence.depth + 1)]
    if evidence.depth == 1 or sizes[-1] == 0.0 or evidence.has_learnt:
        return
    shares = [size / sizes[-1] for size in sizes]
    by_layer = ", ".join(f"{share:.2g}" for share in shares)
    smallest, largest = int(np.argmin(shares)) + 1, int(np.argmax(shares)) + 1
    if 0.0 < shares[smallest - 1] < _LOST:
        what = (
            f"dL/dZ{smallest} is {shares[smallest - 1]:.2g} of the last layer's (by layer: {by_layer})"
        )
        remedy = (
            "use activation='relu' or 'tanh' with their own initializer, features of about unit size, "
            "or fewer layers"
        )
        yield Flag("vanishing gradient", f"layer {smallest}", what, remedy)
    if shares[largest - 1] > _BLOWN:
        what = (
            f"dL/dZ{largest} is {shares[largest - 1]:.2g} times the last layer's (by layer: {by_layer})"
        )
        remedy = (
            "start from smaller weights (initializer='he_normal' or 'glorot_uniform'), or clip_norm=1.0"
        )
        yield Flag("exploding gradient", f"layer {largest}", what, remedy)


def step_length(evidence: Evidence) -> Iterator[Flag]:
    """Yield a learning rate that carries past the goal, or that moves nothing."""
    weights = [u for u in evidence.updates if u.name.startswith("W") and u.norm > 0]
    ratios = {update.name: update.ratio for update in weights}
    if not ratios:
        return
    name = max(ratios, key=lambda name: ratios[name])
    before, after, rate = evidence.loss_before, evidence.loss_after, evidence.learning_rate
    if _rises(evidence, ratios[name]) or any(map(_is_far, weights)):
        what = (
            f"with these {evidence.rows} rows as one batch it changes {name} by {ratios[name]:.3g} of "
            f"its norm, and the loss goes from {before:.4g} to {after:.4g}"
        )
        # A change of a hundredth of the weights is a step of usual length.
        remedy = f"take {_rounded(rate * min(0.1, 0.01 / ratios[name]))} or so, or clip_norm=1.0"
        yield Flag("learning rate too large", f"learning_rate={rate:g}", what, remedy)
        return
    usual = max(update.gradient / update.norm for update in weights)  # of plain descent at rate 1
    pull = max(usual, ratios[name] / rate if rate else 0.0)
    if ratios[name] < _LEAST_CHANGE and pull > _LEAST_PULL and not evidence.has_learnt:
        what = f"no weight changes by more than {ratios[name]:.2g} of the norm of its matrix"
        remedy = f"take {_rounded(0.001 / pull)} or so"
        yield Flag("learning rate too small", f"learning_rate={rate:g}", what, remedy)


def _rises(evidence: Evidence, ratio: float) -> bool:
    """Return whether the step makes the loss worse by much, or changes all for nothing.

    Near its goal a good rate overshoots, too, the more so with an optimizer that starts afresh: there
    the loss rises many times over and is as small as before, against that of a guess.
    """
    before, after, guess = evidence.loss_before, evidence.loss_after, evidence.loss_of_guess
    if not math.isfinite(after) or (ratio > 1.0 and after >= 0.9 * before):
        return True
    worth_it = ratio > 0.1 if guess == 0.0 else after > 0.2 * guess
    return worth_it and after > 1.5 * before


def _is_far(update: Update) -> bool:
    """Return whether the step leaves nothing of a weight matrix: on a few rows even that may hit."""
    n_in, n_out = update.shape
    usual = math.sqrt(2.0 * n_in * n_out / (n_in + n_out))  # the norm of Glorot's start
    return update.change > _FAR * max(update.norm, usual)


def _rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array.astype(np.float64)))))


def _rounded(rate: float) -> str:
    """Return a power of ten near it."""
    return f"{10.0 ** round(math.log10(rate)):g}" if rate > 0 else "a lower rate"
