"""Closing: the last line of training if the network did not learn."""

from contextlib import suppress
from dataclasses import replace

import numpy as np

from chainrule import backends
from chainrule.data.inputs import host
from chainrule.explain.diagnosis import FEWEST, curve, loss_of_guess, out_of_reach
from chainrule.explain.records import Flag
from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.step import Batch, Progress, TrainingStep, forward
from chainrule.training.tasks import Outcome, Settings, Task

_MOST_ROWS, _MOST_PRODUCTS = 1000, 10**9  # per forward pass: a large network gets fewer rows
_LEARNT = 0.95  # relative to the loss of a constant prediction: below it, the network has learnt
_RISEN = 3.0  # relative to the initial loss, or to the loss of a constant prediction
_FEWEST_STEPS = 10  # fewer steps need not lower the loss


def closing_line(start: Array, task: Task, settings: Settings, outcome: Outcome) -> str:
    """Return why the network did not learn and the remedy, on one line; "" if it learnt.

    It uses at most 1,000 rows. It says nothing if an error or Ctrl-C ended training. It raises no errors, since
    the trained weights are worth more than the line.

    Parameters
    ----------
    start
        ``(P,)``: the parameters before training.
    task, settings
        The network with its data, and the settings of training.
    outcome
        The result of training.

    Returns
    -------
    str
        One line, or "".
    """
    if outcome.history.error is not None or outcome.history.interrupted or not len(outcome.history):
        return ""
    with suppress(Exception), task.backend.quiet():
        return _line(start, task, settings, outcome)
    return ""


def _line(start: Array, task: Task, settings: Settings, outcome: Outcome) -> str:
    # On the host, where nothing has to be compiled. Only training uses dropout and 16 bits; a fault
    # shows without them.
    net, data = task.net, task.data.some()
    net, numpy = replace(net, dropout=0.0, compute=None), backends.named("numpy")
    rows = _some(data, min(_MOST_ROWS, max(FEWEST, _MOST_PRODUCTS // net.layout.total)))
    for flag in out_of_reach(rows.Y, curve(net.activations[-1], numpy)):
        return str(flag)
    guess = net.loss.reported(loss_of_guess(rows, net, numpy), *rows.Y.shape)
    history = outcome.history
    if history.record(-1).loss < _LEARNT * guess:
        return ""
    thetas = [host(theta) for theta in (start, outcome.theta)]  # each (P,)
    began, ended = (_loss(theta, rows, net) for theta in thetas)
    rose = not ended <= _RISEN * max(began, guess or 1e-6)  # also for NaN and infinity
    size = min(settings.batch_size or data.X.shape[0], data.X.shape[0])
    steps = len(history) * -(-data.X.shape[0] // size)
    if not rose and (steps < _FEWEST_STEPS or not 0 < guess * _LEARNT < ended):
        return ""
    course = f"the loss {'rose' if rose else 'went'} from {began:.4g} to {ended:.4g}"
    if not rose:
        course += f", no better than one answer for all rows ({guess:.4g})"
    few, rate = _some(rows, max(FEWEST, size)), history.record(0).learning_rate
    for theta in thetas:  # the initial weights show the cause, the final ones its effects
        for flag in _flags(theta, TrainingStep(net, settings.optimizer), few, rate):
            return f"{course}: {flag}"
    clip = "" if net.clip_norm else ", or set clip_norm=1.0"
    return f"{course}: lower learning_rate (it was {rate:.3g}){clip}, or scale X" if rose else ""


def _flags(theta: np.ndarray, step: TrainingStep, batch: Batch, rate: float) -> tuple[Flag, ...]:
    """Return the flags of a step from ``theta (P,)``; none if the step cannot be recorded."""
    from chainrule.explain.explanation import explain

    progress = Progress(theta, step.optimizer.init(theta))
    inputs = progress, batch, np.asarray(rate, theta.dtype), None
    with suppress(Exception):
        return explain(step, inputs, backends.named("numpy")).flags
    return ()


def _loss(theta: np.ndarray, batch: Batch, net: Architecture) -> float:
    A = forward(theta, batch.X, net).A  # (n, n_L)
    return float(net.loss.reported(net.loss.value(A, batch.Y, batch.weights), *A.shape))


def _some(data: Batch, most: int) -> Batch:
    """Return at most ``most`` rows, evenly spaced, on the host."""
    every = -(-data.X.shape[0] // most)
    return data.map(lambda part: host(part[::every, ...]))
