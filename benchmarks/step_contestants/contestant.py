"""What a contestant is, and how long its step takes."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from typing import Any, NamedTuple

import numpy as np

WARM_CALLS, WARM_SECONDS = 10, 0.25
BLOCK_SECONDS, LEAST_BLOCKS = 0.01, 3


class UnavailableError(RuntimeError):
    """A contestant that cannot run here; the message says why."""


class State(NamedTuple):
    """Where training stands."""

    loss: float  # before the last step
    parameters: Sequence[np.ndarray]  # after it: the weights (n_in, n_out), then the biases


class Timing(NamedTuple):
    """What was measured, in µs a step."""

    first_call_us: float
    steps_per_block: int
    samples_us: list[float]

    @property
    def median_us(self) -> float:
        """The figure that the process reports."""
        return median(self.samples_us)


@dataclass
class Contestant:
    """A training step that can be called, and looked at afterwards.

    Attributes
    ----------
    step
        Runs ``steps`` steps; what the last call returned is handed to ``state``.
    state
        Where training stands; ``None`` for what computes no step.
    wait
        Returns when everything asked for has been computed.
    steps
        How many steps a call runs.
    five
        Runs the five steps of the check, where ``step`` runs more than one.
    exempt
        Why its parameters are not compared with the reference; empty: they are.
    context
        Makes what it runs in.
    note
        How it was run, for the record.
    measure
        Another way to time it than blocks of calls.
    """

    step: Callable[[], Any]
    state: Callable[[Any], State] | None
    wait: Callable[[], object] = lambda: None
    steps: int = 1
    five: Callable[[], Any] | None = None
    exempt: str = ""
    context: Callable[[], AbstractContextManager[object]] = nullcontext
    note: str = ""
    measure: Callable[[float], Timing] | None = None


def time_blocks(contestant: Contestant, seconds: float) -> Timing:
    """Return how long a step takes, from blocks of calls over about so many seconds."""
    gc.collect()
    gc.freeze()
    gc.disable()  # as timeit does: nobody's step is charged with another's garbage
    first = _block(contestant, 1)
    calls = max(1, math.ceil(BLOCK_SECONDS / _warm_up(contestant)))
    samples: list[float] = []
    began = time.perf_counter()
    while len(samples) < LEAST_BLOCKS or time.perf_counter() - began < seconds:
        samples.append(_block(contestant, calls) / (calls * contestant.steps) * 1e6)
    return Timing(first * 1e6, calls * contestant.steps, samples)


def _block(contestant: Contestant, calls: int) -> float:
    """Return the seconds that so many calls take, until all is computed."""
    step, wait = contestant.step, contestant.wait
    began = time.perf_counter()
    for _ in repeat(None, calls):
        step()
    wait()
    return time.perf_counter() - began


def _warm_up(contestant: Contestant) -> float:
    """Call it until it is warm; return the seconds of a call at the end."""
    began, done, calls = time.perf_counter(), 0, 1
    while True:
        took = _block(contestant, calls)
        done += calls
        if done >= WARM_CALLS and time.perf_counter() - began >= WARM_SECONDS:
            return took / calls
        if took < BLOCK_SECONDS:
            calls *= 2
