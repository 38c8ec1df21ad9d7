"""Files: written completely or not at all.

A file is written under a temporary name in the same folder and then renamed, so that a reader sees the old file or
the new one. The temporary file is locked while it is written. An unlocked one was left by a killed process, and the
next save into that folder removes it.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from chainrule.mathematics.naming import require

PathLike = str | os.PathLike[str]

_PREFIX, _SUFFIX = ".chainrule-", ".part"  # for the names of temporary files


def check_writable(path: PathLike, inputs: tuple[PathLike, ...] = ()) -> Path:
    """Return the file that ``path`` refers to, or raise if it cannot be written.

    Call it before long work, so that the result can be saved afterwards.

    Parameters
    ----------
    path
        The file to write. A symbolic link stands for the file it points to.
    inputs
        Files that are read for this result and must not be overwritten.

    Returns
    -------
    Path
        The real path, without links.

    Raises
    ------
    OSError
        If ``path`` is a folder, a device, a pipe, a stream such as ``/dev/stdout`` or one of ``inputs``; or if
        it or its folder is not writable, or the folder does not exist.
    """
    named, path = Path(path), Path(os.path.realpath(path))
    require(not path.is_dir(), f"{path} is a folder; give the name of a file in it", IsADirectoryError)
    is_plain = not path.exists() or (path.is_file() and not _is_stream(named))
    problem = f"{named} is a device, a pipe or a stream; give the name of a file"
    require(is_plain, problem, OSError)
    _check_above(path)
    is_writable = not path.exists() or os.access(path, os.W_OK)
    problem = f"the file {path} is not writable; choose another place for {path.name}"
    require(is_writable, problem, PermissionError)
    is_read = path.exists() and any(Path(other).exists() and path.samefile(other) for other in inputs)
    problem = f"{named} is read for this result and would be overwritten; give the output another name"
    require(not is_read, problem, FileExistsError)
    return path


def _check_above(path: Path) -> None:
    """Raise unless the folder of ``path`` exists and is writable."""
    problem = f"there is no folder {path.parent} to write {path.name} into; make it first"
    require(path.parent.is_dir(), problem, FileNotFoundError)
    problem = f"the folder {path.parent} is not writable; choose another place for {path.name}"
    require(os.access(path.parent, os.W_OK), problem, PermissionError)


def _is_stream(path: Path) -> bool:
    """Return whether a chain of links goes through an open file of a process, as ``/dev/stdout`` does."""
    while path.is_symlink():
        folder = path.parent.resolve()
        if folder == Path("/dev") or folder.is_relative_to("/proc"):
            return True
        path = folder / path.readlink()
    return False


def check_folder(path: PathLike) -> Path:
    """Return the folder ``path``, or raise if no file can be written into it.

    The folder need not exist yet, but the folder above it must.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    OSError
        If ``path`` is a file, the folder above it does not exist, or the folder is not writable.
    """
    path = Path(path)
    is_file = path.exists() and not path.is_dir()
    require(not is_file, f"{path} is a file; give the name of a folder", NotADirectoryError)
    _check_above(path / "files" if path.exists() else path.absolute())
    return path


def write_whole(path: PathLike, content: bytes) -> None:
    """Write ``content`` to a temporary file in the same folder and rename it to ``path``.

    A reader sees the old file or the new one, and a failure leaves the old one unchanged. The new file has the
    owner and the permissions of the old one.

    Raises
    ------
    OSError
        As :func:`check_writable`, or if the disk is full.
    """
    path = check_writable(path)
    _remove_leftovers(path.parent)
    with _temporary(path) as (descriptor, temporary):
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        os.fsync(descriptor)  # the bytes are on the disk before the name points to them
        temporary.replace(path)


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[tuple[int, Path]]:
    """Open a new locked file next to ``path``, with its permissions, and remove it at the end."""
    old = path.stat() if path.exists() else None
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    while True:
        temporary = path.with_name(f"{_PREFIX}{os.urandom(4).hex()}{_SUFFIX}")
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(temporary, flags, mode)
            lock(descriptor, wait=True)
            if os.fstat(descriptor).st_nlink:
                break
            os.close(descriptor)  # another process removed it before it was locked
    try:
        if old is not None:
            with contextlib.suppress(PermissionError):  # only root may change the owner
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, mode)
        yield descriptor, temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool) -> bool:
    """Lock a file for this process, until it closes the file or ends.

    Returns
    -------
    bool
        ``False`` if another process holds the lock, or the file system has none.
    """
    import fcntl  # imported here, because Windows lacks it

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process holds the lock, or this file system has none
        return False
    return True


def _remove_leftovers(folder: Path) -> None:
    """Remove our temporary files that no process has locked: those of killed processes."""
    for leftover in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # not ours, a link, or removed already
            descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
                if ours and lock(descriptor, wait=False):
                    leftover.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
