"""The machine: its cores, caches, memory and threads."""

import functools
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

from chainrule.mathematics.naming import require

resource: ModuleType | None
try:
    import resource
except ImportError:  # Windows
    resource = None

_L2_BYTES = 1 << 20  # used if the system reports none: small for a server, large for a laptop
_UNLIMITED = 1 << 60  # version 1 reports a larger number for a group without a limit
# By control-group version: the files of the limit and the usage, and the page cache's prefix in memory.stat.
_MEMORY_FILES = {
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    2: ("memory.max", "memory.current", ""),
}
# `ulimit -v` and `ulimit -d`, and the names of the memory that they limit in /proc/self/status.
_ULIMITS = {"RLIMIT_AS": "VmSize:", "RLIMIT_DATA": "VmData:"}


def cores(root: Path = Path("/")) -> int:
    """Return the number of processors for this process: its affinity, or fewer with a CPU quota.

    ``root`` is the folder of ``proc`` and ``sys``.

    Examples
    --------
    >>> cores() >= 1
    True
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(affinity, cpu_quota(root)))


@functools.cache
def cpu_quota(root: Path = Path("/")) -> int:
    """Return the CPU quota of the control groups in whole processors; ``sys.maxsize`` without a quota.

    A quota is rounded down, since threads that wait for each other stop while one of them is throttled.
    """
    granted = []
    for group, version in _control_groups("cpu", root):
        names = ("cpu.max",) if version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        words = " ".join(_text(group / name) for name in names).split()  # the quota, then its period
        if len(words) == 2 and words[0].isdecimal():  # neither "max" nor -1
            granted.append(int(words[0]) // int(words[1]))
    return min(granted, default=sys.maxsize)


@functools.cache
def processor() -> str:
    """Return the name of the processor, as the system reports it.

    Examples
    --------
    >>> processor() == processor().strip() != ""
    True
    """
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()  # another system, or another kind of processor


def asked_threads(asked: int | None = None) -> int | None:
    """Return the requested number of threads: ``asked``, or ``CHAINRULE_THREADS``; ``None`` if there is neither.

    Raises
    ------
    ValueError
        If it is less than one, or no whole number.

    Examples
    --------
    >>> asked_threads(3)
    3
    """
    wanted = asked if asked is not None else os.environ.get("CHAINRULE_THREADS") or None
    if wanted is None:
        return None
    name = "threads" if asked is not None else "CHAINRULE_THREADS"
    is_count = str(wanted).isdecimal() and int(wanted) >= 1
    require(is_count, f"{name} is {wanted!r}; give a whole number of 1 or more")
    return int(wanted)


def threads(asked: int | None = None) -> int:
    """Return the number of threads to use: ``asked``, or ``CHAINRULE_THREADS``, or one for each core.

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


def while_forking(lock: Any, in_child: Callable[[], None] = lambda: None) -> None:
    """Make each fork wait for a lock, so that no child inherits it locked by a thread that the child does not have.

    ``in_child`` is called in the child before the lock is released there.
    """

    def enter() -> None:
        try:
            in_child()
        finally:
            lock.release()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=enter)


def blas_threads(count: int | None) -> AbstractContextManager[object]:
    """Return a context in which BLAS uses this many threads; ``None`` changes nothing.

    The number is a setting of the whole process. If such contexts overlap in several threads, the latest one
    decides. When the last one ends, the number from before the first one is restored.

    Examples
    --------
    >>> with blas_threads(1):
    ...     pass
    """
    return nullcontext() if count is None else _BLAS.limited(count)


class _Blas:
    """The requested numbers of BLAS threads, and the numbers from before the first request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # The number and the thread of each request; lists, so that equal requests remain different objects.
        self._asked: list[list[int]] = []
        self._before: dict[str, tuple[Any, int]] = {}  # by file of the library
        while_forking(self._lock, in_child=self._forked)

    @contextmanager
    def limited(self, count: int) -> Iterator[None]:
        """Make BLAS use this many threads until the context ends."""
        mine = [count, threading.get_ident()]
        with self._lock:
            self._asked.append(mine)
            for library in _blas_libraries(len(sys.modules)):
                self._before.setdefault(library.filepath, (library, library.get_num_threads()))
                library.set_num_threads(count)
        try:
            yield
        finally:
            with self._lock:
                self._keep([request for request in self._asked if request is not mine])

    def _keep(self, requests: list[list[int]]) -> None:
        """Apply the latest of these requests, or restore the numbers from before the first one."""
        self._asked = requests
        for library, before in self._before.values():
            library.set_num_threads(requests[-1][0] if requests else before)
        if not requests:
            self._before.clear()

    def _forked(self) -> None:
        """Drop, in a forked child, the requests of threads that it does not have."""
        self._keep([request for request in self._asked if request[1] == threading.get_ident()])


_BLAS = _Blas()


@functools.lru_cache(maxsize=1)
def _blas_libraries(_modules: int) -> list[Any]:
    """Return the BLAS libraries of this process; imports of more modules may load others, so the search is repeated then."""
    from threadpoolctl import ThreadpoolController

    controllers: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return controllers


@functools.cache
def l2_bytes() -> int:
    """Return the size of a core's second-level cache, in bytes."""
    size = _text(Path("/sys/devices/system/cpu/cpu0/cache/index2/size")).strip().removesuffix("K")
    return int(size) * 1024 if size.isdecimal() else _L2_BYTES


def cache_folder() -> Path:
    """Return the folder of compiled functions and measurements: ``CHAINRULE_CACHE_DIR``, or the user's cache."""
    named = os.environ.get("CHAINRULE_CACHE_DIR")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "chainrule"


def available_bytes(root: Path = Path("/")) -> int | None:
    """Return the memory that this process may still use, in bytes; ``None`` if the system does not report it.

    On Linux, this is the minimum of the available memory of the kernel, the rest of the limits of control
    groups (versions 1 and 2; their page cache counts as free) and the rest of ``ulimit``. ``root`` is the folder of
    ``proc`` and ``sys``.

    Examples
    --------
    >>> (available_bytes() or 1) >= 0
    True
    """
    left = [1024 * free for free in _facts(root / "proc/meminfo", "MemAvailable:")]
    for group, version in _control_groups("memory", root):
        *names, cache = _MEMORY_FILES[version]
        most, used_now = (_text(group / name).strip() for name in names)
        if most.isdecimal() and used_now and int(most) < _UNLIMITED:  # version 2 says "max"
            cached = _facts(group / "memory.stat", f"{cache}active_file", f"{cache}inactive_file")
            left.append(int(most) - int(used_now) + sum(cached))
    for limit, size in _ULIMITS.items():
        allowed = resource.getrlimit(getattr(resource, limit))[0] if resource else _UNLIMITED
        if 0 <= allowed < _UNLIMITED:
            left += [allowed - 1024 * used for used in _facts(root / "proc/self/status", size)]
    return max(0, min(left)) if left else None


def _control_groups(controller: str, root: Path) -> list[tuple[Path, int]]:
    """Return the folder and the version of each control group that this process is in, the innermost first."""
    groups = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            top = root / "sys/fs/cgroup" / (controller if controllers else "")  # version 2 names none
            # In some containers this is a path of the host, and only its top folder exists here.
            inner = top / path.lstrip("/")
            folders = [folder for folder in (inner, *inner.parents) if folder.is_relative_to(top)]
            groups += [(folder, 1 if controllers else 2) for folder in folders]
    return groups


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):  # another system or version, or a container that hides the file
        return ""


def _facts(path: Path, *names: str) -> list[int]:
    """Return the numbers of these names, from a file with a name and a number in each line."""
    rows = map(str.split, _text(path).splitlines())
    return [int(row[1]) for row in rows if row and row[0] in names]
