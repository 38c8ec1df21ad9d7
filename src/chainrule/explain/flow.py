"""Flow: how the gradient fares on its way down, and whether the step is of a sensible length."""

import math
from collections.abc import Iterator

import numpy as np

from chainrule.explain.evidence import Evidence
from chainrule.explain.records import Flag

_LOST, _BLOWN = 1e-3, 1e3  # of the last layer's gradient
_LEAST_CHANGE = 1e-6  # of the weights, in one step


def through_layers(evidence: Evidence) -> Iterator[Flag]:
    """Yield the layer where the gradient has vanished or exploded most, against the last layer's."""
    sizes = [_rms(evidence.arrays[f"dL_dZ{number}"]) for number in range(1, evidence.depth + 1)]
    if evidence.depth == 1 or sizes[-1] == 0.0:
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
    rises = not math.isfinite(after) or after > max(1.5 * before, 1e-6 * evidence.loss_of_mean)
    if rises or (ratios[name] > 1.0 and after >= 0.9 * before):
        what = (
            f"it changes {name} by {ratios[name]:.3g} of its norm, and the loss goes from "
            f"{before:.4g} to {after:.4g}"
        )
        # A change of a hundredth of the weights is a step of usual length.
        remedy = f"take {_rounded(rate * min(0.1, 0.01 / ratios[name]))} or so, or clip_norm=1.0"
        yield Flag("learning rate too large", f"learning_rate={rate:g}", what, remedy)
        return
    usual = max(update.gradient / update.norm for update in weights)  # of plain descent at rate 1
    pull = max(usual, ratios[name] / rate if rate else 0.0)
    if ratios[name] < _LEAST_CHANGE and pull > 100 * _LEAST_CHANGE:
        what = f"no weight changes by more than {ratios[name]:.2g} of the norm of its matrix"
        remedy = f"take {_rounded(0.001 / pull)} or so"
        yield Flag("learning rate too small", f"learning_rate={rate:g}", what, remedy)


def _rms(array: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(array.astype(np.float64)))))


def _rounded(rate: float) -> str:
    """Return a power of ten near it."""
    return f"{10.0 ** round(math.log10(rate)):g}" if rate > 0 else "a lower rate"
