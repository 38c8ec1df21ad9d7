"""The scan: on JAX, the batches of an epoch as one compiled loop.

``lax.scan`` runs the steps without coming back to Python between them; the progress that goes in is
given up for the one that comes out, so XLA writes over it.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
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
        self._epoch = _compiled(work.step, tuple(work.bounds))
        self._trace()

    def _trace(self) -> None:
        """Trace an epoch, which JAX remembers: what fails does so before anything has run."""
        work, steps = self._work, len(self._work.bounds)
        rates = self._asarray([0.0] * steps, self.progress[0].dtype)  # (steps,)
        order = None if work.is_one_batch else self._asarray(np.arange(work.bounds[-1][1]))  # (n,)
        keys = self._asarray(np.zeros(steps, np.int32)) if work.drops else None  # (steps,)
        try:
            self._epoch.trace(self.progress, work.data, order, rates, keys)
        except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
            msg = "the step cannot be recorded: it reads a value on the host (float(), bool(), if, np.asarray())"
            raise UnrecordableError(msg) from error

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: nothing needs one."""
        return nullcontext()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``. Ctrl-C is heard between two epochs: within one is no Python."""
        check()
        rates = self._asarray(np.asarray(epoch.rates), self.progress[0].dtype)  # (steps,)
        order = None if epoch.order is None else self._asarray(epoch.order)  # (n,)
        keys = None if epoch.keys is None else self._asarray(epoch.keys)  # (steps,)
        self.progress, losses = self._epoch(self.progress, self._work.data, order, rates, keys)
        listed: list[float] = losses.tolist()  # sync: the losses, once an epoch
        return listed


@lru_cache(maxsize=32)
def _compiled(step: Step, bounds: tuple[tuple[int, int], ...]) -> Any:
    """Return an epoch as one compiled function; that of an equal step, and its compiled code, is found again."""

    def epoch(
        progress: Any, data: Any, order: jax.Array | None, rates: jax.Array, keys: jax.Array | None
    ) -> tuple[Any, jax.Array]:
        """Return the progress after the epoch and the losses ``(steps,)``."""
        if order is None:
            progress, L = step.whole(progress, data, rates[0], None if keys is None else keys[0])
            return progress, L[None]  # (1,)
        start, stop = bounds[0]
        rows, steps = stop - start, order.shape[0] // (stop - start)

        def one(progress: Any, at: Any) -> tuple[Any, jax.Array]:
            places, rate, key = at
            after: tuple[Any, jax.Array] = step.whole(progress, _rows(data, places), rate, key)
            return after

        places = order[: steps * rows].reshape(steps, rows)  # (steps, rows)
        along = (places, rates[:steps], None if keys is None else keys[:steps])
        progress, losses = jax.lax.scan(one, progress, along)  # losses (steps,)
        if steps < len(bounds):  # the ragged last batch
            last = (order[steps * rows :], rates[-1], None if keys is None else keys[-1])
            progress, L = one(progress, last)
            losses = jnp.append(losses, L)  # (steps + 1,)
        return progress, losses

    return jax.jit(epoch, donate_argnums=0)


def _rows(data: Any, places: jax.Array) -> Any:
    return type(data)(*(None if part is None else jnp.take(part, places, axis=0) for part in data))
