"""The machine: what the rule for row blocks needs to know of it."""

import functools
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

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
    """Return a context in which BLAS uses so many threads; ``None`` changes nothing.

    How many it uses is a setting of the whole process. Where such contexts overlap, in several threads,
    the latest decides; when the last one ends it is set back to what it was before the first.

    Examples
    --------
    >>> with blas_threads(1):
    ...     pass
    """
    return nullcontext() if count is None else _BLAS.limited(count)


class _Blas:
    """The numbers of threads that BLAS libraries were asked to use, and used before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[list[int]] = []  # a list of its own for each who asked: equal, not the same
        self._before: dict[str, tuple[Any, int]] = {}  # by the library's file

    @contextmanager
    def limited(self, count: int) -> Iterator[None]:
        """Have them use so many threads until it ends."""
        mine = [count]
        with self._lock:
            self._asked.append(mine)
            for library in _blas_libraries(len(sys.modules)):
                self._before.setdefault(library.filepath, (library, library.get_num_threads()))
                library.set_num_threads(count)
        try:
            yield
        finally:
            with self._lock:
                self._asked = [other for other in self._asked if other is not mine]
                for library, before in self._before.values():
                    library.set_num_threads(self._asked[-1][0] if self._asked else before)
                if not self._asked:
                    self._before.clear()


_BLAS = _Blas()


@functools.lru_cache(maxsize=1)
def _blas_libraries(_modules: int) -> list[Any]:
    """Return the BLAS libraries in this process; looked for anew once more was imported, which brings them."""
    from threadpoolctl import ThreadpoolController

    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


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
