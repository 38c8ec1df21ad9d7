"""Training: the loop over epochs, what watches it, and what is kept when it ends early."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from chainrule.architecture import Architecture
from chainrule.arrays import Array, namespace
from chainrule.backends import Backend
from chainrule.batches import Chance, Epoch, bounds
from chainrule.display import Display
from chainrule.evaluation import score
from chainrule.history import History, Record
from chainrule.interrupts import heard
from chainrule.optimizers import Optimizer
from chainrule.schedules import Schedule
from chainrule.program.engine import Work
from chainrule.step import Batch, Progress, TrainingStep

Callback = Callable[[Record], object]


@dataclass(frozen=True)
class Settings:
    """How to train: everything that is neither the network nor the data."""

    epochs: int
    batch_size: int | None  # None: all rows in one batch, as they lie
    schedule: Schedule
    optimizer: Optimizer
    patience: int | None = None  # epochs without a better loss before training stops
    callbacks: Sequence[Callback] = ()  # each is handed every record; True ends training
    compiled: bool = True  # False: the plain step, as it is written
    threads: int | None = None  # None: CHAINRULE_THREADS, else one a core


class Outcome(NamedTuple):
    """What training came to. The weights are good even where there is an error to raise."""

    theta: Array  # (P,)
    history: History
    error: Exception | None


def fit(
    theta: Array,
    data: Batch,
    net: Architecture,
    backend: Backend,
    settings: Settings,
    chance: Chance,
    display: Display,
    validation: Batch | None = None,
) -> Outcome:
    """Train from ``theta`` on ``data`` and return what came of it.

    Ctrl-C ends the run as if it had been over: the weights are those of the last whole step. An error
    on the way (a loss that is no longer finite, one from a callback) ends it too, with the last good
    weights, and is returned to be raised.
    """
    run = _Run(theta, data, net, backend, settings, validation)
    error: Exception | None = None
    try:
        with backend.quiet(), run.at_work(), heard() as is_stopped:
            for number in range(settings.epochs):
                record = run.epoch(number, chance, is_stopped)
                display.show(record)
                if run.is_over(record):
                    break
                if is_stopped():
                    run.history.interrupted = True
                    break
    except KeyboardInterrupt:  # a second one, or where the first cannot be held back
        run.history.interrupted = True
    except Exception as stopped:  # noqa: BLE001  returned, to be raised once the weights are kept
        error = stopped
    finally:
        display.close()
    return Outcome(run.weights(), run.history, error)


class _Run:
    """One run of training: its records, and the weights worth keeping."""

    def __init__(
        self,
        theta: Array,
        data: Batch,
        net: Architecture,
        backend: Backend,
        settings: Settings,
        validation: Batch | None,
    ) -> None:
        self._rows = data.X.shape[-2]
        self._net = net
        self._backend = backend
        self._settings = settings
        self._validation = validation
        start = backend.copy(theta)
        work = Work(
            TrainingStep(net, settings.optimizer),
            Progress(start, settings.optimizer.init(start)),
            data,
            bounds(self._rows, settings.batch_size),
            drops=bool(net.dropout),
            steps=settings.epochs * len(bounds(self._rows, settings.batch_size)),
            threads=settings.threads,
        )
        self._engine = backend.engine(work) if settings.compiled else backend.plain(work)
        self._bounds = work.bounds
        # The newest weights known to be finite, and a place for those before the epoch in hand.
        self._good, self._spare = backend.copy(theta), backend.copy(theta)
        self._diverged = False
        self._best: tuple[float, Array] | None = None
        self._began = time.perf_counter()
        self.history = History(_reported_name(net))

    def at_work(self) -> AbstractContextManager[object]:
        """Return the engine's context to run in."""
        return self._engine.at_work()

    def epoch(self, number: int, chance: Chance, is_stopped: Callable[[], bool]) -> Record:
        """Run an epoch and return its record, which is kept."""
        plan = self._plan(number, chance)
        before = self._before()
        loss = self._reported(self._engine.run(plan, is_stopped))
        if not math.isfinite(loss):
            self._diverged = True
            self._keep(before)
            raise FloatingPointError(self._advice(number, loss, plan))
        self._good, self._spare = before, self._good
        held_out = None if self._validation is None else self._held_out(self._validation)
        seconds = time.perf_counter() - self._began
        record = Record(number, loss, *(held_out or (None, None)), plan.rates[0], seconds)
        self.history.records.append(record)
        return record

    def is_over(self, record: Record) -> bool:
        """Return whether a callback or the patience ends training here."""
        stops = [callback(record) is True for callback in self._settings.callbacks]
        if any(stops):
            self.history.interrupted = True
            return True
        if self._settings.patience is None:
            return False
        watched = record.loss if record.validation_loss is None else record.validation_loss
        if self._best is None or watched < self._best[0]:
            self._best = watched, self._backend.copy(self._engine.progress.theta)
            self.history.best_epoch = record.epoch
        best = self.history.best_epoch or 0
        return record.epoch - best >= self._settings.patience

    def weights(self) -> Array:
        """Return the weights to keep: the best seen with early stopping, else the newest good ones."""
        if self._best is not None:
            return self._best[1]
        return self._good if self._diverged else self._engine.progress.theta

    def _before(self) -> Array:
        """Return the weights as they are, out of reach of an engine that writes over them."""
        return self._backend.copy(self._engine.progress.theta, out=self._spare)

    def _plan(self, number: int, chance: Chance) -> Epoch:
        settings, steps = self._settings, len(self._bounds)
        rates = [settings.schedule(number + i / steps, settings.epochs) for i in range(steps)]
        order = None if settings.batch_size is None else chance.order(self._rows)
        return Epoch(order, rates, chance.keys(steps) if self._net.dropout else None)

    def _reported(self, losses: list[float]) -> float:
        """Return the loss over an epoch, on the scale that is reported, from that of each step."""
        loss, outputs = self._net.loss, self._net.sizes[-1]
        if len(self._bounds) == 1:
            return loss.reported(losses[0], self._rows, outputs)
        taken = self._bounds[: len(losses)]  # an interrupted epoch has fewer
        rows = sum(stop - start for start, stop in taken)
        return sum(
            loss.reported(L, stop - start, outputs) * ((stop - start) / rows)
            for L, (start, stop) in zip(losses, taken, strict=True)
        )

    def _held_out(self, validation: Batch) -> tuple[float, float | None]:
        theta = self._engine.progress.theta
        return score(theta, validation, self._net, self._backend)

    def _keep(self, theta: Array) -> None:
        xp = namespace(theta)
        if bool(xp.all(xp.isfinite(theta))):
            self._good = theta

    def _advice(self, number: int, loss: float, epoch: Epoch) -> str:
        clip = "" if self._net.clip_norm else ", or set clip_norm=1.0"
        return (
            f"training diverged in epoch {number}: the loss became {loss}; the last finite weights are "
            f"kept; lower learning_rate (it was {epoch.rates[0]:.3g}){clip}, or scale X"
        )


def _reported_name(net: Architecture) -> str:
    squared = net.loss.name in {"squared_error", "mean_squared_error"}
    return "mean squared error" if squared else net.loss.name.replace("_", " ")
