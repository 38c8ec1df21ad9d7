"""Speed maps of simulated machines, with three numbers for each backend."""

import math
from itertools import pairwise

from chainrule.backends.speed_map.spots import Interval, SpeedMap, Spot, Time, Workload

# Seconds of a step's calls, of a FLOP, of a byte: as fast where the calls outweigh half of the FLOPs.
NUMPY, TORCH = (3e-5, 2e-11, 2e-11), (1e-3, 1e-11, 2e-11)
GRID = [(H, B) for H in (16, 64, 256, 1024) for B in (1, 16, 256, 4096)]


def seconds(machine, work):
    """Return the time of a step."""
    calls, flop, byte = machine
    weights = sum(n_in * n_out for n_in, n_out in pairwise(work.sizes))
    return calls + flop * 6 * work.batch * weights + byte * 4 * (weights + work.batch * sum(work.sizes))


def a_spot(work, machines, spread=0.01):
    """Return a spot with the times of all backends and the ratios of all pairs, with intervals."""
    taken = {name: seconds(machine, work) for name, machine in machines.items()}
    times = {name: Time(name, around(t, spread)) for name, t in taken.items()}
    ratios = {(a, b): around(taken[a] / taken[b], spread) for a in taken for b in taken if a < b}
    return Spot(work, times, ratios)


def around(value, spread):
    """Return an interval around a value."""
    return Interval(value, value / (1 + spread), value * (1 + spread))


def a_map(machines=None, sizes=(64, 10), grid=GRID, dtype="float32", **more):
    """Return a map of networks of one shape over a grid."""
    machines = machines or {"numpy": NUMPY, "torch": TORCH}
    works = [Workload((sizes[0], H, sizes[1]), B, dtype=dtype) for H, B in grid]
    return SpeedMap([a_spot(work, machines, **more) for work in works])


def logs_apart(a, b):
    """Return the distance of two times on a log scale."""
    return abs(math.log(a / b))
