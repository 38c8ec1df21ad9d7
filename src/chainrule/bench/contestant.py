"""A contestant: a function that runs a pass of steps, and its results."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


class UnavailableError(RuntimeError):
    """A contestant that cannot run here; the message says why."""


class State(NamedTuple):
    """The state of training."""

    loss: float  # before the last step
    parameters: Sequence[np.ndarray]  # after it: the weights (n_in, n_out), then the biases


@dataclass
class Contestant:
    """An implementation of a step, to be timed.

    Attributes
    ----------
    run
        Runs a pass; ``state`` and ``outputs`` take its result.
    steps
        The steps of a pass.
    state
        Returns the state of training after a pass; ``None`` if no step is taken.
    outputs
        For a forward pass: the outputs ``(n, n_L)`` of the last batch, on the host.
    wait
        Returns when everything has been computed.
    exempt
        Why its numbers are not compared with the reference; empty if they are.
    context
        Returns the context manager in which it runs.
    clocked
        Runs this many passes and returns the seconds by its own clock, for a call that runs many passes
        and whose start is not to be counted.
    """

    run: Callable[[], Any]
    steps: int
    state: Callable[[Any], State] | None = None
    outputs: Callable[[Any], np.ndarray] | None = None
    wait: Callable[[], object] = lambda: None
    exempt: str = ""
    context: Callable[[], AbstractContextManager[object]] = nullcontext
    clocked: Callable[[int], float] | None = None


def over_batches(
    step: Callable[[Any], Any], batches: Sequence[Any], wait: Callable[[Any], object], **more: Any
) -> Contestant:
    """Return a contestant whose pass calls a function with each batch, and returns the last result.

    Parameters
    ----------
    step
        Called with each batch.
    batches
        The batches of a pass.
    wait
        Returns when the result of a step is computed. Devices compute in order, so the last result is enough.
    more
        Other attributes of the contestant.

    Returns
    -------
    Contestant
        Its pass has as many steps as there are batches.

    Examples
    --------
    >>> doubled = over_batches(lambda X: 2 * X, [np.ones(2), np.ones(3)], wait=lambda _: None)
    >>> doubled.steps, doubled.run()
    (2, array([2., 2., 2.]))
    """
    last: list[Any] = []

    def run() -> Any:
        for batch in batches:
            result = step(batch)
        last[:] = [result]
        return result

    return Contestant(run, len(batches), wait=lambda: [wait(one) for one in last], **more)
