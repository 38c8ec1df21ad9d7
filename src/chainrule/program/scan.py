"""The scan: on JAX, the batches of an epoch as one compiled loop.

The loop runs the steps without returning to Python. XLA overwrites the progress (its buffers are donated). The number of
steps is an argument and not compiled in, so parts of an epoch of any length share the code, and the bits, of a whole one.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chainrule.program.engine import Engine, Epoch, Pack, Step, Work
from chainrule.program.unrecordable import UnrecordableError


class Scan(Engine):
    """Runs an epoch as one call.

    Parameters
    ----------
    work
        The steps and their arrays; those of its progress are overwritten.
    asarray
        The method of the backend: from the host to its device.

    Raises
    ------
    UnrecordableError
        If JAX cannot trace the step.
    """

    def __init__(self, work: Work, asarray: Callable[..., jax.Array]) -> None:
        self.progress = work.progress
        self._work = work
        self._asarray = asarray
        self._loops = {rows: _compiled(work.step, rows) for rows in work.batch_sizes}
        self._trace()

    def _trace(self) -> None:
        """Trace the steps, which JAX caches, so that errors are raised before any step has run."""
        work = self._work
        order = None if work.is_one_batch else self._asarray(np.arange(work.bounds[-1][1]))  # (n,)
        keys = np.zeros(1, np.int32) if work.drops else None  # (1,)
        try:
            for rows, loop in self._loops.items():
                along = self._along(Epoch(None, [(0, rows)], [0.0], keys))
                loop.trace([self.progress], work.data, [order], [along], [np.int32(1)])
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            msg = "the step cannot be recorded: it reads a value on the host (float(), bool(), if, np.asarray())"
            raise UnrecordableError(msg) from error

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``. Ctrl-C takes effect between epochs, since Python does not run within one."""
        check()
        return self.run_all([self], [epoch], epoch.data or self._work.data)[0]

    def run_all(
        self, engines: Sequence["Scan"], epochs: Sequence[Epoch | None], data: Any
    ) -> list[list[float]]:
        """Run epochs of engines with equal steps and bounds; an engine whose epoch is ``None`` does nothing.

        In ``data``, an array with an axis before its rows has an entry for each engine.
        """
        some = next(epoch for epoch in epochs if epoch is not None)
        plans = [epoch or some for epoch in epochs]
        orders = [p.order if p.order is None else self._asarray(p.order) for p in plans]  # (n,) each
        parts: list[list[Any]] = [[] for _ in engines]
        first = 0
        for rows, alike in groupby(some.bounds, lambda bounds: bounds[1] - bounds[0]):
            steps = len(list(alike))
            along = [self._along(plan.part(first, first + steps)) for plan in plans]
            counts = [np.int32(0 if epoch is None else steps) for epoch in epochs]
            arguments = [engine.progress for engine in engines], data, orders, along, counts
            ends = self._loops[rows](*arguments)
            for engine, part, (progress, losses) in zip(engines, parts, ends, strict=True):
                engine.progress = progress
                part.append((losses, steps))
            first += steps
        # sync: once a run.
        return [[loss for losses, n in part for loss in losses[:n].tolist()] for part in parts]

    def _along(self, part: Epoch) -> tuple[jax.Array | None, ...]:
        """Return the starts of the batches, the learning rates and the keys, each resized to a whole epoch."""
        most, starts = len(self._work.bounds), [start for start, _ in part.bounds]
        columns = ((starts, "int32"), (part.rates, self.progress[0].dtype), (part.keys, "int32"))
        return tuple(
            None if column is None else self._asarray(np.resize(column, most), dtype)  # (most,)
            for column, dtype in columns
        )


class ScanPack(Pack):
    """The scans of several runs: one compiled loop over the runs with equal steps.

    XLA maps over the runs one by one (``lax.map``), so each has the same bits as alone. ``vmap`` would join their
    products, which gives other bits.

    Parameters
    ----------
    works
        The runs, with equal shapes and several batches.
    threads
        The number of threads that share them.
    asarray
        The method of the backend: from the host to its device.

    Raises
    ------
    UnrecordableError
        If JAX cannot trace a step.
    """

    def __init__(self, works: Sequence[Work], threads: int, asarray: Callable[..., jax.Array]) -> None:
        engines = [Scan(work, asarray) for work in works]
        super().__init__(engines, threads)
        self._groups: list[tuple[list[Scan], Any]] = []  # each: runs with equal steps, and their data
        for part in self.parts:
            groups: dict[Step, list[int]] = {}
            for number in part:
                groups.setdefault(works[number].step, []).append(number)
            for numbers in groups.values():
                data = _stacked([works[number].data for number in numbers])
                self._groups.append(([engines[number] for number in numbers], data))

    def run(self, epochs: Mapping[Any, Epoch], check: Callable[[], None]) -> dict[Any, list[float]]:
        """Run an epoch of each of these engines: see ``Pack``."""
        epochs = {engine: epoch.drawn() for engine, epoch in epochs.items()}
        losses = dict[Any, list[float]]()
        for engines, data in self._groups:
            if not epochs.keys().isdisjoint(engines):
                check()
                found = engines[0].run_all(engines, [epochs.get(engine) for engine in engines], data)
                losses |= dict(zip(engines, found, strict=True))
        return losses


def _stacked(records: Sequence[Any]) -> Any:
    """Return records of data as one: shared arrays as they are, others stacked."""

    def one(first: jax.Array, *others: jax.Array) -> jax.Array:
        return first if all(other is first for other in others) else jnp.stack((first, *others))

    return jax.tree.map(one, *records)


@lru_cache(maxsize=32)
def _compiled(step: Step, rows: int) -> Any:
    """Return a compiled function that runs the steps on batches of this many rows; equal steps share it."""

    def run(
        data: Any, progress: Any, order: jax.Array | None, along: tuple[Any, ...], steps: jax.Array
    ) -> tuple[Any, jax.Array]:
        """Return the progress after the steps, and ``(most,)`` losses, the first of which are those of the steps."""
        starts, rates, keys = along  # (most,) each
        if order is None:  # outside a loop, XLA uses more threads
            progress, L = step.whole(progress, data, rates[0], None if keys is None else keys[0])
            return progress, L[None]  # (1,)

        def one(number: jax.Array, carried: Any) -> Any:
            progress, losses = carried
            places = jax.lax.dynamic_slice(order, (starts[number],), (rows,))  # (rows,)
            key = None if keys is None else keys[number]
            batch = jax.tree.map(lambda part: jnp.take(part, places, axis=0), data)  # each (rows, ...)
            progress, L = step.whole(progress, batch, rates[number], key)
            return progress, losses.at[number].set(L)

        losses = jnp.zeros(rates.shape, rates.dtype)  # (most,)
        carried: tuple[Any, jax.Array] = jax.lax.fori_loop(0, steps, one, (progress, losses))
        return carried

    def loop(progress: Any, data: Any, *columns: Any) -> list[Any]:
        """Return the progress and the losses of each run; the arguments have an entry for each run."""
        runs = list(zip(progress, *columns, strict=True))
        if len(runs) == 1:
            return [run(data, *runs[0])]
        stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *enumerate(runs))
        ends = jax.lax.map(lambda numbered: run(_of(data, numbered[0]), *numbered[1]), stacked)
        return [jax.tree.map(lambda part, n=n: part[n], ends) for n in range(len(runs))]

    return jax.jit(loop, donate_argnums=0)


def _of(data: Any, number: jax.Array) -> Any:
    """Return the data of one run."""
    return jax.tree.map(lambda part: part[number] if part.ndim > 2 else part, data)
