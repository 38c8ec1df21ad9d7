"""The stored map: a small JSON file in the cache folder, good for the machine and versions it names."""

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chainrule.backends.speed_map.interval import Interval
from chainrule.backends.speed_map.spots import Parts, SpeedMap, Spot, Time
from chainrule.backends.speed_map.workload import Workload
from chainrule.program import machine
from chainrule.saving.files import write_whole

SCHEMA = 1
PACKAGES = (
    *("chainrule", "numpy", "llvmlite", "torch", "jax", "jaxlib", "cupy-cuda12x", "cupy-cuda13x"),
)
DEVICES = "/proc/driver/nvidia/gpus"  # where Linux names them, without a library to load


class StaleMapError(LookupError):
    """The map that is stored is of another machine or of other versions; the message says which."""


def file() -> Path:
    """Return where the map is kept."""
    return machine.cache_folder() / "speed-map.json"


def key() -> dict[str, str]:
    """Return the facts that a map is good for.

    Examples
    --------
    >>> key()["numpy"].count(".") >= 1
    True
    """
    facts = {
        "processor": machine.processor(),
        "cores": str(machine.cores()),
        "threads": str(machine.asked_threads() or "one a core"),
        "devices": ", ".join(_devices()) or "none",
        "python": platform.python_version(),
    }
    return facts | {name: found for name in PACKAGES if (found := _version(name))}


def read() -> SpeedMap:
    """Return the stored map; an empty one where none is stored.

    Raises
    ------
    StaleMapError
        If it is of another machine, or of other versions.
    """
    try:
        held = json.loads(file().read_text(encoding="utf-8"))
        old, spots = held["key"], [_spot(one) for one in held["spots"]]
        if held["schema"] != SCHEMA:
            return SpeedMap()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return SpeedMap()  # nothing kept yet, or a damaged file: as if nothing had been measured
    here = key()
    for name in here | old:
        was, now = old.get(name, "none"), here.get(name, "none")
        if was != now:
            msg = f"the stored map was measured with {name} {was}, here is {now}"
            raise StaleMapError(msg)
    return SpeedMap(spots)


def write(kept: SpeedMap) -> Path:
    """Keep a map, in place of the one there is, and return its file."""
    content = {"schema": SCHEMA, "key": key(), "spots": [_line(spot) for spot in kept.spots]}
    file().parent.mkdir(parents=True, exist_ok=True)
    write_whole(file(), json.dumps(content, indent=1).encode())
    return file()


def _line(spot: Spot) -> dict[str, Any]:
    times = {name: time._asdict() for name, time in spot.times.items()}
    ratios = [[*pair, *ratio] for pair, ratio in spot.ratios.items()]
    return {"workload": spot.workload._asdict(), "times": times, "ratios": ratios}


def _spot(line: dict[str, Any]) -> Spot:
    workload = Workload(**line["workload"])
    workload = workload._replace(sizes=tuple(workload.sizes))
    times = {name: _time(**time) for name, time in line["times"].items()}
    ratios = {(a, b): Interval(*ratio) for a, b, *ratio in line["ratios"]}
    return Spot(workload, times, ratios)


def _time(
    contestant: str,
    seconds: list[float],
    parts: list[float] | None,
    calls: int | None,
    copy: list[float] | None,
) -> Time:
    return Time(
        contestant,
        Interval(*seconds),
        Parts(*parts) if parts else None,
        calls,
        Interval(*copy) if copy else None,
    )


def _devices() -> list[str]:
    """Return the names of the CUDA devices that the driver shows."""
    found = []
    for facts in sorted(Path(DEVICES).glob("*/information")):
        lines = facts.read_text(encoding="utf-8").splitlines()
        found += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return found


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
