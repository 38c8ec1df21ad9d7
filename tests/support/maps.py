"""Speed maps of machines that are given by two or three numbers a backend."""

import math

from chainrule.backends.speed_map import Interval, Parts, SpeedMap, Spot, Time, workload

# Seconds of a call, a FLOP, a byte: as quick where nine microseconds a call outweigh half of the FLOPs.
NUMPY, TORCH = (1e-6, 2e-11, 2e-11), (1e-5, 1e-11, 2e-11)
GRID = [(H, B) for H in (16, 64, 256, 1024) for B in (1, 16, 256, 4096)]


def seconds(machine, work):
    """What a step takes."""
    call, flop, byte = machine
    return call * work.calls + flop * work.flops + byte * work.bytes


def a_spot(work, machines, spread=0.01, copy=None):
    """What was measured there, each with an interval; and the ratios of all pairs."""
    taken = {name: seconds(machine, work) for name, machine in machines.items()}
    times = {
        name: Time(
            name,
            Interval(t, t * (1 - spread), t * (1 + spread)),
            Parts(
                machines[name][1] * work.flops,
                machines[name][2] * work.bytes,
                machines[name][0] * work.calls,
            ),
            work.calls,
            copy and Interval(copy[name], copy[name], copy[name]),
        )
        for name, t in taken.items()
    }
    ratios = {
        (a, b): Interval(
            taken[a] / taken[b], taken[a] / taken[b] / (1 + spread), taken[a] / taken[b] * (1 + spread)
        )
        for a in taken
        for b in taken
        if a < b
    }
    return Spot(work, times, ratios)


def a_map(machines=None, sizes=(64, 10), grid=GRID, dtype="float32", **more):
    """A map of one shape of network over a grid."""
    machines = machines or {"numpy": NUMPY, "torch": TORCH}
    works = [workload((sizes[0], H, sizes[1]), B, dtype=dtype) for H, B in grid]
    return SpeedMap([a_spot(work, machines, **more) for work in works])


def logs_apart(a, b):
    """How far two times are apart, on the scale of logarithms."""
    return abs(math.log(a / b))
