"""Runs: the epochs of one training run, its records, its checkpoints, and the weights that it keeps."""

import math
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import cache, lru_cache, partial
from inspect import GEN_CLOSED, getgeneratorstate
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from chainrule.mathematics.arrays import Array, namespace, record_like
from chainrule.mathematics.schedules import Constant
from chainrule.mathematics.step import Progress, TrainingStep
from chainrule.program.engine import Engine, Epoch, Work, bounds
from chainrule.program.unrecordable import UnrecordableError
from chainrule.ranks.group import share
from chainrule.training.batches import Chance
from chainrule.training.display import Display
from chainrule.training.evaluation import outputs, score
from chainrule.training.history import History, Record
from chainrule.training.interrupts import Interrupts
from chainrule.training.tasks import DivergedError, Member, Outcome

if TYPE_CHECKING:
    from chainrule.training.resuming import Snapshot

T = TypeVar("T")
# What yields plans for an engine to run and is sent the losses of their steps.
Plans = Generator[Epoch, Sequence[float] | np.ndarray | None, T]
SPAN_SECONDS = 0.1  # between two checks whether a checkpoint is due


class TrainingRun:
    """One run of training: its records, and the best or newest good weights."""

    engine: Engine  # from `start` on

    def __init__(self, member: Member, interrupts: Interrupts, display: Display) -> None:
        theta, task, settings, chance, state = member
        net, backend, self._data, self._validation = task
        self._rows = self._data.total
        self._net = net
        self._backend = backend
        self._settings = settings
        self._chance, self._interrupts, self._display = chance, interrupts, display
        start = self._start("theta", theta)
        kept = settings.optimizer.init(start) if state is None else state
        states = [self._start(f"state{number}", part) for number, part in enumerate(kept)]
        self._bounds, self._share = bounds(self._rows, settings.batch_size), None
        if self._data.counts is not None:
            self._share = share(self._bounds, self._data.counts, settings.group.rank)
        self.work = Work(
            TrainingStep(net, settings.optimizer),
            Progress(start, record_like(kept, states)),
            self._data.data,
            self._bounds if self._share is None else self._share.bounds,
            drops=bool(net.dropout),
            steps=settings.epochs * len(self._bounds),
            threads=settings.threads,
        )
        in_16_bits = (f"multiplied in {net.compute}, under float32 weights",) if net.compute else ()
        notes = backend.notes + in_16_bits + settings.group.notes
        if self._share is not None:
            notes += ("each rank has its own rows, in another order than one process has",)
        self.history = History(net.loss.reported_name, notes=notes)
        # The newest weights known to be finite, and a buffer for the weights before the current epoch.
        self._good, self._spare = backend.copy(start), backend.copy(start)
        self._newest_is_good = True
        self._best: tuple[float, Array] | None = None
        self._began = time.perf_counter()
        # Whether rank 0 has callbacks: only rank 0 calls them, and the other ranks may have none.
        self._has_callbacks = settings.group.broadcast(bool(settings.callbacks))
        has_patience, is_validated = settings.patience is not None, self._validation is not None
        self._is_watched = self._has_callbacks or has_patience or is_validated
        self.is_over = False
        self._is_cut = False  # whether an error may have cut an update in two
        self._drawn: list[Any] = []  # the state of the random numbers before the current epoch
        # If a checkpoint was written within an epoch: the weights before the epoch, and its losses so far.
        self._unfinished: tuple[Array, list[float]] | None = None
        # Steps between two looks at the clock, and until the next one; without checkpoints, nobody looks.
        self._span = self._left = sys.maxsize if settings.folder is None else 1
        self._looked = 0.0  # time of the last look at the clock
        self._plans = self._train()

    def _start(self, name: str, given: Array) -> Array:
        """Return a copy of an array to start from, or of the newest checkpoint's array if there is one."""
        newest = self._settings.folder and self._settings.folder.newest
        array = self._backend.asarray(newest[0][name], given.dtype) if newest else given
        return self._backend.copy(array)

    def own_engine(self) -> Engine:
        """Return the engine that runs this member alone."""
        settings = self._settings

        def engine(*, compiled: bool) -> Engine:
            if settings.group.is_divided:
                from chainrule.ranks.engine import RankEngine

                ranks = settings.group, self._interrupts, self._share
                return RankEngine(self.work, self._backend, *ranks, compiled=compiled)
            return (self._backend.engine if compiled else self._backend.plain)(self.work)

        try:
            return engine(compiled=settings.compiled)
        except UnrecordableError as error:
            self.history.notes += (f"{error}; it runs as it is written",)
            return engine(compiled=False)

    def start(self, engine: Engine) -> None:
        """Take the engine; write the first checkpoint, or continue from the newest one."""
        self.engine = engine
        self.history.notes += getattr(engine, "notes", ())  # how a device multiplies
        # The loss may then be finite although weights are NaN. Checking all weights takes longer than a small step.
        self._hides_nan = getattr(engine, "hides_nan", False)
        folder, history = self._settings.folder, self.history
        if folder is None:
            return
        self._drawn = self._chance.state
        if folder.newest is None:
            folder.write(self._snapshot())
            return
        arrays, record = folder.newest
        self._drawn = self._chance.state = record["draws"]
        history.extend(arrays["numbers"], arrays["held_out"])
        history.best_epoch, history.interrupted = record["best_epoch"], record["interrupted"]
        self._began -= record["seconds"]
        self.is_over = record["is_over"]
        if "best" in arrays:
            self._best = record["best_loss"], self._start("best", self._good)
        if "before" in arrays:
            self._unfinished = self._start("before", self._good), arrays["losses"].tolist()
        folder.newest = None  # its arrays are not kept while the run goes on

    def check(self) -> None:
        """Raise ``KeyboardInterrupt`` after Ctrl-C, unless a checkpoint must be written first."""
        if self._settings.folder is None:
            self._interrupts.check()

    # -- from outside: one plan after the other ----------------------------------------------------

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended."""
        return getgeneratorstate(self._plans) == GEN_CLOSED

    def next_plan(self, losses: Sequence[float] | np.ndarray | None = None) -> Epoch | None:
        """Take the losses of the last plan, and return the next plan; ``None`` at the end."""
        return self._resume(self._plans.send, losses)

    def stop(self, error: BaseException, *, is_cut: bool) -> None:
        """End because of an error during the last plan; ``is_cut``: within a step."""
        self._is_cut = is_cut
        self._resume(self._plans.throw, error)

    def _resume(self, go_on: Callable[[Any], Epoch], given: Any) -> Epoch | None:
        """Return the next plan; keep an error that ends training, to be raised after the weights are kept."""
        try:
            return go_on(given)
        except StopIteration:
            pass
        except KeyboardInterrupt:
            if self._settings.group.size > 1 and not self._interrupts.is_pending:
                raise  # a second Ctrl-C, which the other ranks have not received
            self.history.interrupted = True
        except Exception as stopped:  # noqa: BLE001
            self.history.error = stopped
        return None

    def _train(self) -> Plans[None]:
        """Yield the plans for the engine until training ends."""
        while not self.is_over:
            yield from self._epochs()
        self.check()
        if not _finite(self.engine.progress.theta):  # after the last update no loss is computed
            last = self.history.record(-1)
            raise self._diverged(last.epoch, "its update overflowed", last.learning_rate)

    # -- checkpoints -------------------------------------------------------------------------------

    def _snapshot(self, before: Array | None = None, losses: Sequence[float] = ()) -> "Snapshot":
        """Return the state of the run, at the start of an epoch or within an epoch that began with the weights ``before``."""
        theta, state = self.engine.progress
        best_loss, best = self._best or (None, None)
        parts = {"theta": theta, "before": before, "best": best}
        parts |= {f"state{number}": part for number, part in enumerate(state)}
        arrays = {n: self._backend.to_numpy(part) for n, part in parts.items() if part is not None}
        record = {
            "draws": self._drawn,
            "best_loss": best_loss,
            "best_epoch": self.history.best_epoch,
            "interrupted": self.history.interrupted,
            "is_over": self.is_over,
            "seconds": self._seconds(),
        }
        return {**arrays, **self.history.arrays(), "losses": np.array(losses)}, record

    def _rest(self, before: Array | None = None, losses: Sequence[float] = ()) -> None:
        """Write a checkpoint if one is due or training ends here; called between steps."""
        folder, epochs = self._settings.folder, len(self.history)
        if folder is None:
            return
        is_due = folder.is_due or (before is None and folder.epochs and epochs % folder.epochs == 0)
        is_wanted = is_due or self.is_over or self._interrupts.is_pending
        # Weights that are not finite are not saved: the run is about to fail.
        if is_wanted and _finite(self.engine.progress.theta) and (before is None or _finite(before)):
            folder.keep(self._snapshot(before, losses))
        if not self.is_over:
            self._interrupts.check()

    # -- epochs ------------------------------------------------------------------------------------

    def _epochs(self) -> Plans[None]:
        """Run the next epoch; if no callback needs each epoch, as many as the engine runs together."""
        first, folder = len(self.history), self._settings.folder
        is_cut = not self._data.in_memory or (folder is not None and len(self._bounds) > 1)
        count = 1 if self._is_watched or is_cut else self.engine.at_once
        count = min(count, self._settings.epochs - first)
        if folder is not None and folder.epochs is not None:
            count = min(count, folder.epochs - first % folder.epochs)
        plan = self._plan(first, count, self._chance)
        if count == 1:
            yield from self._run(plan)
        else:
            yield from self._run_together(plan)
        for number in self._display.shown(first, len(self.history)):
            self._display.show(self.history.record(number))
        self.is_over = len(self.history) == self._settings.epochs
        if self._is_watched:
            self.is_over |= self._ends_at(self.history.record(first))
        if folder is not None:
            self._drawn = self._chance.state
            self._rest()

    def _run(self, plan: Epoch) -> Plans[None]:
        """Run one epoch and add its record."""
        number, losses = len(self.history), list[float]()
        if self._unfinished is None:
            # A copy, since the engine may overwrite the weights.
            before = self._backend.copy(self.engine.progress.theta, out=self._spare)
        else:
            (before, losses), self._unfinished = self._unfinished, None
        (loss,) = self._reported((yield from self._spans(plan, before, losses)))
        if self._hides_nan and math.isfinite(loss) and not _finite(before):
            loss = math.nan
        if not math.isfinite(loss):
            self._go_back_to(before)
            raise self._diverged(number, f"the loss became {loss}", plan.rates[0])
        self._good, self._spare = before, self._good
        self.history.add([loss], plan.rates[:1], self._seconds(), self._held_out())

    def _run_together(self, plan: Epoch) -> Plans[None]:
        """Run epochs in one call; if one of them fails, run them again one by one."""
        copy, progress, steps = self._backend.copy, self.engine.progress, len(self._bounds)
        before = copy(progress.theta, out=self._spare)
        state = [copy(part) for part in progress.state]
        losses = yield from self._steps(plan, before)  # (epochs * steps,)
        if np.isfinite(losses).all() and _finite(progress.theta):
            self._good, self._spare = before, self._good
            self.history.add(self._reported(losses), plan.rates[::steps], self._seconds())
            return
        for part, start in zip((progress.theta, *progress.state), (before, *state), strict=True):
            copy(start, out=part)
        for place in range(0, len(plan.rates), steps):
            yield from self._run(plan.part(place, place + steps))

    def _seconds(self) -> float:
        return time.perf_counter() - self._began

    def _steps(self, plan: Epoch, before: Array) -> Plans[np.ndarray]:
        """Run the steps of an epoch; if an update is interrupted, go back to the weights ``before`` them."""
        theta = self.engine.progress.theta
        try:
            return np.asarray((yield plan))  # (steps,)
        except BaseException:
            # An error in a step, or a second Ctrl-C. If the engine overwrites the weights, the update
            # may be half done.
            if self._is_cut and self.engine.progress.theta is theta:
                self._go_back_to(before)
            raise

    def _spans(self, plan: Epoch, before: Array, losses: list[float]) -> Plans[np.ndarray]:
        """Run the steps of an epoch that have no losses yet; with checkpoints, for SPAN_SECONDS at a time."""
        if self._settings.folder is None and self._data.in_memory:
            return (yield from self._steps(plan, before))
        self._left, self._looked = self._span, time.perf_counter()
        try:
            with closing(self._data.spans(plan.part(len(losses), len(plan.rates)))) as windows:
                for window in windows:
                    done = 0
                    while done < len(window.rates):
                        stop = min(len(window.rates), done + self._left)
                        losses.extend((yield from self._steps(window.part(done, stop), before)))
                        self._left, done = self._left - (stop - done), stop
                        # Windows end at different steps on each rank, but all ranks look after the same steps.
                        if self._left == 0:
                            self._look(before, losses, len(plan.rates))
        except (TypeError, ValueError, OSError):  # damaged files
            self._go_back_to(before)
            raise
        return np.array(losses)  # (steps,)

    def _look(self, before: Array, losses: list[float], steps: int) -> None:
        """Adjust the number of steps until the next look at the clock, and write a checkpoint if one is due."""
        seconds = self._settings.group.broadcast(time.perf_counter() - self._looked)
        self._span = max(1, int(self._span * min(8.0, SPAN_SECONDS / seconds)))
        if len(losses) < steps:
            self._rest(before, losses)
        self._left, self._looked = self._span, time.perf_counter()

    def _go_back_to(self, before: Array) -> None:
        self._newest_is_good = False
        self._good = before if _finite(before) else self._good

    def _ends_at(self, record: Record) -> bool:
        """Return whether a callback or early stopping ends training here."""
        patience = self._settings.patience
        if patience is not None:
            self._keep_if_best(record)
        if self._settings.show is not None and self._settings.callbacks:
            self._settings.show(self._backend.copy(self.engine.progress.theta))
        group = self._settings.group
        stops = [
            callback(record) is True
            for callback in self._settings.callbacks
            if group.rank == 0 or getattr(callback, "on_all_ranks", False)
        ]
        if self._has_callbacks and group.broadcast(any(stops)):
            self.history.interrupted = True
            return True
        return patience is not None and record.epoch - (self.history.best_epoch or 0) >= patience

    def outcome(self) -> Outcome:
        """Return the weights to keep: the best with early stopping, else the newest finite ones."""
        (newest, state), folder = self.engine.progress, self._settings.folder
        self.history.notes += () if folder is None else tuple(folder.notes)
        if self._best is not None:
            return Outcome(self._best[1], self.history, None)
        if self._newest_is_good and _finite(newest):
            return Outcome(newest, self.history, state)
        return Outcome(self._good, self.history, None)

    def _keep_if_best(self, record: Record) -> None:
        loss, theta = record.validation_loss, self.engine.progress.theta
        if loss is None:
            # In full batch, the loss belongs to the weights before the update; over minibatches it is
            # a mean over the epoch, and the newest weights are the nearest.
            loss, theta = record.loss, self._good if len(self._bounds) == 1 else theta
        if (self._best is None or loss < self._best[0]) and math.isfinite(loss) and _finite(theta):
            self._best = loss, self._backend.copy(theta)
            self.history.best_epoch = record.epoch

    def _plan(self, first: int, count: int, chance: Chance) -> Epoch:
        """Return the plan of the batches for ``count`` epochs; one epoch if the rows are not in memory."""
        settings, steps = self._settings, len(self._bounds)
        rate, number = settings.schedule, count * steps
        if isinstance(rate, Constant):
            rates = np.full(number, rate.rate)  # (number,)
        else:
            epochs = [first + i / steps for i in range(number)]
            rates = np.array([rate(epoch, settings.epochs) for epoch in epochs])  # (number,)
        # A single batch has all rows: the engine reads them in place, from the caller's array.
        order, draw, data, share = None, None, self._data, self._share
        if steps > 1 or not data.in_memory:
            draws = chance if share is None else chance.of_rank(settings.group.rank)
            shuffle = settings.shuffle and steps > 1
            if shuffle and data.in_memory:
                draw = cache(partial(draws.order, len(data), count))
            else:
                order = np.tile(data.order(draws, shuffle=shuffle), count)  # (count * n,)
        keys = chance.keys(number) if self._net.dropout else None  # (number,)
        spans = _spans(tuple(self.work.bounds), count)
        return Epoch(order, spans, rates, keys, places=share and share.places, draw=draw)

    def _reported(self, losses: np.ndarray) -> list[float] | np.ndarray:
        """Return the loss over each epoch, on the scale that is reported, from the losses of its steps."""
        loss, n_out = self._net.loss, self._net.sizes[-1]
        if len(losses) == 1:  # a number is 15 us faster than an array of one
            return [float(loss.reported(losses[0], self._rows, n_out))]
        losses = losses.reshape(-1, len(self._bounds))  # (epochs, steps)
        size, last = (stop - start for start, stop in (self._bounds[0], self._bounds[-1]))
        # All batches but the last are of one size.
        spans = [(size, losses[:, :-1]), (last, losses[:, -1:])]
        shares = [loss.reported(part, rows, n_out) * (rows / self._rows) for rows, part in spans]
        return np.asarray(np.concatenate(shares, axis=1).sum(axis=1, dtype=np.float64))  # (epochs,)

    def _held_out(self) -> tuple[float | None, float | None] | None:
        if self._validation is None:
            return None
        net, backend, theta = self._net, self._backend, self.engine.progress.theta
        group, validation, scores = self._settings.group, self._validation, list[tuple[Any, ...]]()
        is_divided = group.is_divided and validation.counts is None
        for part in validation.parts():
            for span in group.spans(part.X.shape[-2]) if is_divided else [slice(None)]:
                own = part.map(itemgetter((span, slice(None))))  # array[span, :] of each array
                if own.X.shape[-2]:
                    A = outputs(theta, own.X, net, backend)  # (n, n_L)
                    scores.append((A.shape[-2], *score(A, own, net, backend)))
        every = [each for theirs in group.gather(scores) for each in theirs]
        rows, losses, accuracies = zip(*every, strict=True)
        shares = np.array(rows) / sum(rows)  # (parts,)
        accuracy = None if accuracies[0] is None else math.fsum(shares * accuracies)
        return math.fsum(shares * losses), accuracy

    def _diverged(self, number: int, what: str, rate: float) -> "DivergedError":
        clip = "" if self._net.clip_norm else ", or set clip_norm=1.0"
        return DivergedError(
            f"training diverged in epoch {number}: {what}",
            "the last finite weights are kept",
            f"lower learning_rate (it was {rate:.3g}){clip}, or scale X",
        )


@lru_cache(maxsize=8)
def _spans(bounds: tuple[tuple[int, int], ...], epochs: int) -> list[tuple[int, int]]:
    """Return the bounds of epochs whose orders follow each other; members share the list."""
    rows = bounds[-1][1] if len(bounds) > 1 else 0  # a single batch has no order
    return [(k * rows + start, k * rows + stop) for k in range(epochs) for start, stop in bounds]


def _finite(theta: Array) -> bool:
    xp = namespace(theta)
    # The sum takes half the time on a device. It may also overflow, so that all weights must be looked at.
    return math.isfinite(xp.sum(theta)) or bool(xp.all(xp.isfinite(theta)))
