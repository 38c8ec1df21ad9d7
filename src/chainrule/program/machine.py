"""The machine: what the rule for row blocks needs to know of it."""

import functools
import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

_L2_BYTES = 1 << 20  # where the system does not say: small for a server, large for a laptop


def cores() -> int:
    """Return how many processors this process may run on.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def processor() -> str:
    """Return the processor's name, as the system gives it.

    Examples
    --------
    >>> processor() == processor().strip() != ""
    True
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(":")[2].strip()
    except (OSError, StopIteration):  # another system, or another kind of processor
        return platform.processor() or platform.machine()


def asked_threads(asked: int | None = None) -> int | None:
    """Return how many threads to use if somebody said: as asked, else ``CHAINRULE_THREADS``.

    Raises
    ------
    ValueError
        If it is less than one, or no whole number.

    Examples
    --------
    >>> asked_threads(3)
    3
    """
    given = asked if asked is not None else os.environ.get("CHAINRULE_THREADS") or None
    if given is None:
        return None
    name = "threads" if asked is not None else "CHAINRULE_THREADS"
    if not str(given).isdecimal() or int(given) < 1:
        msg = f"{name} is {given!r}; give a whole number of 1 or more"
        raise ValueError(msg)
    return int(given)


def threads(asked: int | None = None) -> int:
    """Return how many threads to use: as asked, else ``CHAINRULE_THREADS``, else one a core.

    Raises
    ------
    ValueError
        If it is less than one, or no whole number.

    Examples
    --------
    >>> threads(3)
    3
    """
    return asked_threads(asked) or cores()


def blas_threads(count: int | None) -> AbstractContextManager[object]:
    """Return a context in which BLAS uses so many threads, set back when it ends; ``None`` changes nothing.

    Examples
    --------
    >>> with blas_threads(1):
    ...     pass
    """
    if count is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(count, user_api="blas")
    return limits


@functools.cache
def l2_bytes() -> int:
    """Return the size of a core's second-level cache, in bytes."""
    try:
        said = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text(encoding="ascii")
        return int(said.strip().removesuffix("K")) * 1024
    except (OSError, ValueError):  # another system, or a container that hides it
        return _L2_BYTES


def cache_folder() -> Path:
    """Return where compiled and measured things are kept: ``CHAINRULE_CACHE_DIR``, or the user's cache."""
    named = os.environ.get("CHAINRULE_CACHE_DIR")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "chainrule"


def available_bytes() -> int | None:
    """Return how much memory this process may still take; ``None`` where the system does not say.

    On Linux that is what the kernel says is available, or what a container's limit leaves.
    """
    left = [count for count in (_meminfo_available(), _limit_left()) if count is not None]
    return min(left) if left else None


def _meminfo_available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        said = next(line for line in lines if line.startswith("MemAvailable:"))
        return int(said.split()[1]) * 1024
    except (OSError, ValueError, StopIteration):  # another system
        return None


def _limit_left() -> int | None:
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no limit ("max"), or another system
        return None
    return limit - used
