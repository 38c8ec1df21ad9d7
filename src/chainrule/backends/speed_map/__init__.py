"""The speed map: what was measured on this machine, kept on disk, and which backend it speaks for.

`chainrule bench recommend` measures and stores it; ``backend="auto"`` reads it. Nothing is measured here.
"""

from chainrule.backends.speed_map.automatic import pick
from chainrule.backends.speed_map.choice import Choice, choose
from chainrule.backends.speed_map.estimate import OutsideMapError, Prediction, predict
from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.spots import Parts, SpeedMap, Spot, Time
from chainrule.backends.speed_map.stored import StaleMapError, key, read, write
from chainrule.backends.speed_map.workload import Workload, network, workload

__all__ = [
    "Choice",
    "Interval",
    "OutsideMapError",
    "Parts",
    "Prediction",
    "SpeedMap",
    "Spot",
    "StaleMapError",
    "Time",
    "Workload",
    "choose",
    "key",
    "network",
    "pick",
    "predict",
    "read",
    "workload",
    "write",
]
