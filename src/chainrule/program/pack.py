"""Packs: the engines of several runs, which run epochs of all of them in one call."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from chainrule.program.engine import Engine
from chainrule.program.epoch import Epoch

Losses = Sequence[float] | np.ndarray


class Pack:
    """Engines that run one after the other; the subclasses run them together.

    Parameters
    ----------
    engines
        One for each run.
    threads
        How many share them, each a part: :meth:`run` may be called for all parts at once.
    """

    def __init__(self, engines: Sequence[Engine], threads: int = 1) -> None:
        self.engines, self.parts = engines, parts(len(engines), threads)

    def at_work(self) -> AbstractContextManager[object]:
        """Return a context to run epochs in, that of the first engine: all set the same."""
        return self.engines[0].at_work()

    def run(self, epochs: Mapping[Engine, Epoch], check: Callable[[], None]) -> Mapping[Any, Losses]:
        """Run an epoch of each of these engines; return the losses of its steps: see ``Engine.run``."""
        losses = dict[Engine, Losses]()
        for engine, epoch in epochs.items():
            with (
                engine.at_work() if len(self.engines) > 1 else nullcontext()
            ):  # such as a stream of its own
                losses[engine] = engine.run(epoch, check)
        return losses


def parts(count: int, threads: int) -> list[range]:
    """Return the places of so many engines, shared among at most so many threads.

    Examples
    --------
    >>> parts(5, 2)
    [range(0, 5, 2), range(1, 5, 2)]
    """
    return [range(first, count, threads) for first in range(min(count, threads))]
