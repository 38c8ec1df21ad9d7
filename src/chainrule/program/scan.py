"""The scan: on JAX, the batches of an epoch as one compiled loop.

The loop runs the steps without coming back to Python between them; the progress that goes in is given up for the
one that comes out, so XLA writes over it. How many steps it runs is a number that it is given, and not part of what
is compiled: parts of an epoch of any length share the code, and so the bits, of a whole one.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from chainrule.program.engine import Step, Work
from chainrule.program.epoch import Epoch
from chainrule.program.unrecordable import UnrecordableError


class Scan:
    """Runs an epoch as one call.

    Parameters
    ----------
    work
        What to run; its progress is given up.
    asarray
        The backend's: a host array to its device.

    Raises
    ------
    UnrecordableError
        If JAX cannot trace the step.
    """

    at_once = 1  # epoch

    def __init__(self, work: Work, asarray: Callable[..., jax.Array]) -> None:
        self.progress = work.progress
        self._work = work
        self._asarray = asarray
        self._loops = {rows: _compiled(work.step, rows) for rows in work.batch_sizes}
        self._trace()

    def _trace(self) -> None:
        """Trace the steps, which JAX remembers: what fails does so before anything has run."""
        work = self._work
        order = None if work.is_one_batch else self._asarray(np.arange(work.bounds[-1][1]))  # (n,)
        keys = np.zeros(1, np.int32) if work.drops else None  # (1,)
        try:
            for rows, loop in self._loops.items():
                along = self._along(Epoch(None, [(0, rows)], [0.0], keys))
                loop.trace(self.progress, work.data, order, along, np.int32(1))
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            msg = "the step cannot be recorded: it reads a value on the host (float(), bool(), if, np.asarray())"
            raise UnrecordableError(msg) from error

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: nothing needs one."""
        return nullcontext()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``. Ctrl-C is heard between two epochs: within one is no Python."""
        check()
        order = None if epoch.order is None else self._asarray(epoch.order)  # (n,)
        parts, first = [], 0
        for rows, alike in groupby(epoch.bounds, lambda bounds: bounds[1] - bounds[0]):
            steps = len(list(alike))
            along = self._along(epoch.part(first, first + steps))
            given = self.progress, epoch.data or self._work.data, order, along, np.int32(steps)
            self.progress, losses = self._loops[rows](*given)
            parts.append((losses, steps))
            first += steps
        return [loss for losses, steps in parts for loss in losses[:steps].tolist()]  # sync: once a run

    def _along(self, part: Epoch) -> tuple[jax.Array | None, ...]:
        """Return where each batch starts, the learning rates and the keys, each as long as a whole epoch."""
        most, starts = len(self._work.bounds), [start for start, _ in part.bounds]
        columns = ((starts, "int32"), (part.rates, self.progress[0].dtype), (part.keys, "int32"))
        return tuple(
            None if column is None else self._asarray(np.resize(column, most), dtype)  # (most,)
            for column, dtype in columns
        )


@lru_cache(maxsize=32)
def _compiled(step: Step, rows: int) -> Any:
    """Return the steps on batches of this many rows as one compiled function; equal steps share it."""

    def loop(
        progress: Any, data: Any, order: jax.Array | None, along: tuple[Any, ...], steps: jax.Array
    ) -> tuple[Any, jax.Array]:
        """Return the progress after the steps, and ``(most,)`` losses, of which the first ones are theirs."""
        starts, rates, keys = along  # (most,) each
        if order is None:  # XLA computes what stands outside of a loop in more threads
            progress, L = step.whole(progress, data, rates[0], None if keys is None else keys[0])
            return progress, L[None]  # (1,)

        def one(number: jax.Array, carried: Any) -> Any:
            progress, losses = carried
            places = jax.lax.dynamic_slice(order, (starts[number],), (rows,))  # (rows,)
            key = None if keys is None else keys[number]
            progress, L = step.whole(progress, _rows(data, places), rates[number], key)
            return progress, losses.at[number].set(L)

        losses = jnp.zeros(rates.shape, rates.dtype)  # (most,)
        carried: tuple[Any, jax.Array] = jax.lax.fori_loop(0, steps, one, (progress, losses))
        return carried

    return jax.jit(loop, donate_argnums=0)


def _rows(data: Any, places: jax.Array) -> Any:
    return type(data)(*(None if part is None else jnp.take(part, places, axis=0) for part in data))
