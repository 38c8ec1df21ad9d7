"""The speed map: the times measured on this machine, kept on disk, and the backend that they favour.

`chainrule bench recommend` measures and stores it; ``backend="auto"`` reads it. Nothing is measured here.
"""

from chainrule.backends.speed_map.automatic import pick
from chainrule.backends.speed_map.choice import Choice, choose
from chainrule.backends.speed_map.estimate import Estimate, OutsideMapError
from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.spots import SpeedMap, Spot, Time
from chainrule.backends.speed_map.stored import StaleMapError, key, read, write
from chainrule.backends.speed_map.workload import Workload, network

__all__ = [
    "Choice",
    "Estimate",
    "Interval",
    "OutsideMapError",
    "SpeedMap",
    "Spot",
    "StaleMapError",
    "Time",
    "Workload",
    "choose",
    "key",
    "network",
    "pick",
    "read",
    "write",
]
