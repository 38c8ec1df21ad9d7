"""The plain engine: calls the step as it is written once for each batch; the reference for all other engines."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from chainrule.mathematics.arrays import Array, namespace
from chainrule.program.engine import Work
from chainrule.program.epoch import Epoch


class Plain:
    """Calls ``step.whole``, or what a backend has compiled of it.

    Parameters
    ----------
    work
        What to run.
    asarray, to_numpy
        The backend's: to its device and back.
    compiled
        The compiled ``step.whole``, if there is one.
    """

    at_once = 1  # epoch

    def __init__(
        self,
        work: Work,
        asarray: Callable[..., Array],
        to_numpy: Callable[[Array], np.ndarray],
        compiled: Callable[..., Any] | None = None,
    ) -> None:
        self.progress = work.progress
        self._work = work
        self._asarray = asarray
        self._to_numpy = to_numpy
        self._step = compiled or work.step.whole

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run in: nothing needs one."""
        return nullcontext()

    def run(self, epoch: Epoch, check: Callable[[], None]) -> list[float]:
        """Run an epoch: see ``Engine``."""
        dtype = self.progress[0].dtype
        order = None if epoch.order is None else self._asarray(epoch.order)  # (n,)
        losses = []
        for number, bounds in enumerate(epoch.bounds):
            check()
            rate = self._asarray(epoch.rates[number], dtype)  # ()
            key = None if epoch.keys is None else self._asarray(epoch.keys[number], "int32")  # ()
            self.progress, L = self._step(
                self.progress, self._batch(epoch.data or self._work.data, order, *bounds), rate, key
            )
            losses.append(L)
        # sync: the losses, once an epoch
        stacked: list[float] = self._to_numpy(namespace(*losses).stack(losses)).tolist()
        return stacked

    def _batch(self, data: Any, order: Array | None, start: int, stop: int) -> Any:
        if order is None and self._work.is_one_batch:
            return data
        return taken(data, order, start, stop)


def taken(data: Any, order: Array | None, start: int, stop: int) -> Any:
    """Return some rows of the data, in their order or as they lie."""
    parts = [None if part is None else _rows(part, order, start, stop) for part in data]
    return type(data)(*parts)


def _rows(part: Array, order: Array | None, start: int, stop: int) -> Array:
    if order is None:
        return part[start:stop, :]
    return namespace(part).take(part, order[start:stop], axis=-2)
