"""The stored map: a JSON file in the cache folder, valid for the machine and the versions in it."""

import json
import platform
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chainrule.backends.speed_map.spots import Interval, SpeedMap, Spot, Time, Workload
from chainrule.mathematics.naming import require
from chainrule.program import machine
from chainrule.saving.files import write_whole

SCHEMA = 3
PACKAGES = ["chainrule", "numpy", "llvmlite", "torch", "jax", "jaxlib", "cupy-cuda12x", "cupy-cuda13x"]
DEVICES = "/proc/driver/nvidia/gpus"  # lists NVIDIA's devices on Linux, without loading a library


class StaleMapError(LookupError):
    """The stored map is of another machine or of other versions; the message says which."""


def file() -> Path:
    """Return the file of the map."""
    return machine.cache_folder() / "speed-map.json"


def key() -> dict[str, str]:
    """Return the facts for which a map is valid.

    Returns
    -------
    dict of str to str
        The processor, cores, threads, devices and versions.

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
    return facts | versions(PACKAGES)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed."""
    installed = {}
    for name in packages:
        with suppress(PackageNotFoundError):
            installed[name] = version(name)
    return installed


def read() -> SpeedMap:
    """Return the stored map.

    Returns
    -------
    SpeedMap
        The map; an empty one if none is stored, or if the file is damaged.

    Raises
    ------
    StaleMapError
        If it is of another machine, or of other versions.
    """
    try:
        content = json.loads(file().read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            return SpeedMap()
        old, spots = content["key"], [_spot(line) for line in content["spots"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return SpeedMap()  # nothing stored yet, or a damaged file
    here = key()
    for name in here | old:
        was, now = old.get(name, "none"), here.get(name, "none")
        problem = f"the stored map was measured with {name} {was}, but here it is {now}"
        require(was == now, problem, StaleMapError)
    return SpeedMap(spots)


def write(kept: SpeedMap) -> Path:
    """Store a map in place of the old one.

    Parameters
    ----------
    kept
        The map.

    Returns
    -------
    Path
        Its file.
    """
    content = {"schema": SCHEMA, "key": key(), "spots": [_line(spot) for spot in kept.spots]}
    file().parent.mkdir(parents=True, exist_ok=True)
    write_whole(file(), json.dumps(content, indent=1).encode())
    return file()


def _line(spot: Spot) -> dict[str, Any]:
    """Return a spot as a record for JSON, with each ratio as one list."""
    return spot._asdict() | {"ratios": [[*pair, *ratio] for pair, ratio in spot.ratios.items()]}


def _spot(line: dict[str, Any]) -> Spot:
    sizes, *rest = line["workload"]
    times = {name: Time(how, Interval(*seconds)) for name, (how, seconds) in line["times"].items()}
    ratios = {(a, b): Interval(*ratio) for a, b, *ratio in line["ratios"]}
    return Spot(Workload(tuple(sizes), *rest), times, ratios)


def _devices() -> list[str]:
    """Return the names of the CUDA devices that the driver shows."""
    names: list[str] = []
    for facts in sorted(Path(DEVICES).glob("*/information")):
        lines = facts.read_text(encoding="utf-8").splitlines()
        names += [line.partition(":")[2].strip() for line in lines if line.startswith("Model:")]
    return names
