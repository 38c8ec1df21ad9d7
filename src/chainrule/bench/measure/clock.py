"""The clock: how long blocks of passes take, until everything is computed."""

import math
import time
from collections.abc import Callable
from itertools import repeat
from typing import NamedTuple

from chainrule.bench.contestant import Contestant

WALL, PROCESSOR = "wall", "processor"
FINE = 1e-6  # seconds: what a clock must tell apart to time a block with it
WARM_CALLS = 3
BLOCK_SECONDS = 0.01
LEAST_TICKS = 1000  # a block takes this many times as long as reading the clock and waiting for nothing


class Warm(NamedTuple):
    """What is known of a contestant that is warm."""

    passes: int  # of a block
    seconds: float  # of a pass


def block(contestant: Contestant, passes: int, clock: str = WALL) -> float:
    """Run this many passes and return the seconds until everything was computed.

    Parameters
    ----------
    contestant, passes
        Who, and how many.
    clock
        "wall", or "processor": the time that this process computes, in which what else the machine does is
        not counted; of what waits for a device or a disk it sees nothing.
    """
    if contestant.clocked is not None and passes:
        return contestant.clocked(passes)
    run, now = contestant.run, _reader(clock)
    began = now()
    for _ in repeat(None, passes):
        run()
    contestant.wait()
    return now() - began


def _reader(clock: str) -> Callable[[], float]:
    """Return what reads a clock; the processor's is too coarse for a block on some systems."""
    is_fine = time.get_clock_info("process_time").resolution <= FINE
    return time.process_time if clock == PROCESSOR and is_fine else time.perf_counter


def warm_up(contestant: Contestant, seconds: float, block_seconds: float = BLOCK_SECONDS) -> Warm:
    """Call it until it is warm, and return how many passes make a block, and what one takes.

    Parameters
    ----------
    contestant
        Who; its first call is behind it.
    seconds
        For how long, at least; and for three calls.
    block_seconds
        How long a block is to be.
    """
    began, done, passes = time.perf_counter(), 0, 1
    while True:
        took = block(contestant, passes)
        done += passes
        if done >= WARM_CALLS and time.perf_counter() - began >= seconds:
            break
        if took < block_seconds:
            passes *= 2
    overhead = min(block(contestant, 0) for _ in range(5))  # the clock is read, and nothing waited for
    wanted = max(block_seconds, LEAST_TICKS * overhead)
    return Warm(max(1, math.ceil(wanted * passes / took)), took / passes)
