"""Speed maps of machines that are given by three numbers a backend."""

import math
from itertools import pairwise

from chainrule.backends.speed_map.spots import Interval, SpeedMap, Spot, Time, Workload

# Seconds of a step's calls, of a FLOP, of a byte: as fast where the calls outweigh half of the FLOPs.
NUMPY, TORCH = (3e-5, 2e-11, 2e-11), (1e-3, 1e-11, 2e-11)
GRID = [(H, B) for H in (16, 64, 256, 1024) for B in (1, 16, 256, 4096)]


def seconds(machine, work):
    """What a step takes."""
    calls, flop, byte = machine
    weights = sum(n_in * n_out for n_in, n_out in pairwise(work.sizes))
    return calls + flop * 6 * work.batch * weights + byte * 4 * (weights + work.batch * sum(work.sizes))


def a_spot(work, machines, spread=0.01):
    """What was measured there, each with an interval; and the ratios of all pairs."""
    taken = {name: seconds(machine, work) for name, machine in machines.items()}
    times = {name: Time(name, around(t, spread)) for name, t in taken.items()}
    ratios = {(a, b): around(taken[a] / taken[b], spread) for a in taken for b in taken if a < b}
    return Spot(work, times, ratios)


def around(value, spread):
    """An interval about a value."""
    return Interval(value, value / (1 + spread), value * (1 + spread))


def a_map(machines=None, sizes=(64, 10), grid=GRID, dtype="float32", **more):
    """A map of one shape of network over a grid."""
    machines = machines or {"numpy": NUMPY, "torch": TORCH}
    works = [Workload((sizes[0], H, sizes[1]), B, dtype=dtype) for H, B in grid]
    return SpeedMap([a_spot(work, machines, **more) for work in works])


def logs_apart(a, b):
    """How far two times are apart, on the scale of logarithms."""
    return abs(math.log(a / b))
