"""The environment: hardware, system and versions, without names of persons or machines and without paths."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_info

from chainrule.backends.speed_map.stored import PACKAGES, versions
from chainrule.bench.measure.product_precision import of_products
from chainrule.program.machine import cores, processor

VARIABLES = (
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE", "XLA_FLAGS"),
    *("JAX_ENABLE_X64", "JAX_PLATFORMS", "CUPY_TF32", "NVIDIA_TF32_OVERRIDE"),
    *("CHAINRULE_THREADS", "CHAINRULE_EPILOGUE"),
)
POOL_FACTS = ("user_api", "internal_api", "version", "architecture", "num_threads")  # no paths
GOVERNOR = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
GPU_FACTS = ("name", "driver_version", "memory.total", "clocks.sm", "clocks.max.sm", "temperature.gpu")
GPU_THROTTLES = (
    *("clocks_throttle_reasons.hw_slowdown", "clocks_throttle_reasons.sw_thermal_slowdown"),
    "clocks_throttle_reasons.hw_thermal_slowdown",
)
# Shares of the processors' time that others may take before a cell is flagged.
BUSY, STOLEN = 0.1, 0.05
_THROTTLES = "devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def environment() -> dict[str, Any]:
    """Return the hardware, the versions, and the number of threads of each loaded library."""
    device = gpu()
    facts: dict[str, Any] = {
        "cpu": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "governor": _text(GOVERNOR).strip() or None,
        "python": platform.python_version(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "blas": [{key: pool[key] for key in POOL_FACTS if key in pool} for pool in threadpool_info()],
        "versions": versions([*PACKAGES, "scikit-learn", "threadpoolctl"]),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "precision": precision(),
    }
    # A short hash of the facts that stay the same; clocks and temperatures do not.
    fixed = {name: (device or {}).get(name) for name in ("name", "driver_version")}
    identity = hashlib.sha256(json.dumps(facts | fixed, sort_keys=True).encode()).hexdigest()[:12]
    return {"record": "environment", "id": identity, **facts, "gpu": device}


class Pulse(NamedTuple):
    """Counters of the machine; 0 if the system does not count."""

    seconds: float  # wall-clock time
    computed: float  # processor seconds of all programs
    ours: float  # processor seconds of the benchmark's processes
    stolen: float  # processor seconds that other guests of the machine took
    throttled: int  # how often a hot processor's clock was lowered


def pulse(processes: Iterable[int] = ()) -> Pulse:
    """Return the machine's counters; ``processes`` are the benchmark's processes other than this one."""
    words = _text("/proc/stat").partition("\n")[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, stolen = (int(word) / _TICKS for word in words or "00000000")
    ours = time.process_time() + sum(map(_processor_seconds, processes))
    counts = [path.read_text(encoding="utf-8") for path in Path("/sys").glob(_THROTTLES)]
    computed = user + nice + system + irq + softirq
    return Pulse(time.monotonic(), computed, ours, stolen, sum(map(int, counts)))


def _processor_seconds(process: int) -> float:
    fields = _text(f"/proc/{process}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


def flags(before: Pulse, after: Pulse) -> tuple[str, ...]:
    """Return the reasons to doubt the times between two pulses: "busy", "stolen", "throttled".

    Examples
    --------
    >>> flags(Pulse(0.0, 0.0, 0.0, 0.0, 0), Pulse(10.0, 19.0, 2.0, 0.0, 3))[-1]
    'throttled'
    """
    seconds, computed, ours, stolen, throttled = np.subtract(after, before)
    whole = seconds * (os.cpu_count() or 1)
    is_hot = throttled > 0 or "Active" in (_ask_gpu(GPU_THROTTLES) or {}).values()
    doubts = {
        "busy": computed - ours > BUSY * whole,
        "stolen": stolen > STOLEN * whole,
        "throttled": is_hot,
    }
    return tuple(name for name, holds in doubts.items() if holds)


def precision() -> dict[str, Any]:
    """Return how the loaded libraries multiply float32, which they may round to TF32."""
    settings: dict[str, Callable[[Any], Any]] = {
        "torch": lambda torch: torch.get_float32_matmul_precision(),
        "jax": lambda jax: jax.config.jax_default_matmul_precision or "default",
        "cupy": lambda _: of_products("float32"),
    }
    return {name: ask(sys.modules[name]) for name, ask in settings.items() if sys.modules.get(name)}


def gpu() -> dict[str, str] | None:
    """Return what ``nvidia-smi`` reports about the first CUDA device; ``None`` if there is none."""
    return _ask_gpu(GPU_FACTS)


def _ask_gpu(facts: Sequence[str]) -> dict[str, str] | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    command = [program, f"--query-gpu={','.join(facts)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603  found on the path
    except (OSError, subprocess.SubprocessError):
        return None
    first = done.stdout.strip().splitlines()[:1]
    return dict(zip(facts, map(str.strip, first[0].split(",")), strict=False)) if first else None


def _text(path: str) -> str:
    """Return the content of a file, or "" if there is no such file."""
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8")
    return ""
