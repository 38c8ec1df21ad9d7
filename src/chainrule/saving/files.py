"""Files: written whole or not at all.

A file is written under a temporary name in the same folder and then renamed into place, so that a reader sees the
old file or the new one. The temporary file is locked while it is written: an unlocked one was left by a process that
was killed, and the next save into that folder removes it.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from chainrule.mathematics.naming import require

PathLike = str | os.PathLike[str]

_PREFIX, _SUFFIX = ".chainrule-", ".part"  # of temporary files


def check_writable(path: PathLike, inputs: tuple[PathLike, ...] = ()) -> Path:
    """Return the file that ``path`` refers to, or raise if it cannot be written.

    Call it before long work, so that the result is not lost for want of a place.

    Parameters
    ----------
    path
        The file to write. A symbolic link stands for the file it points to.
    inputs
        Files that are read for this result, and must not be overwritten by it.

    Returns
    -------
    Path
        The real path, without links.

    Raises
    ------
    OSError
        If ``path`` is a folder, a device, a pipe or a stream such as ``/dev/stdout``, is one of ``inputs``, or
        is not writable; or if its folder does not exist or is not writable.
    """
    given, path = Path(path), Path(os.path.realpath(path))
    require(not path.is_dir(), f"{path} is a folder; give the name of a file in it", IsADirectoryError)
    is_plain = not path.exists() or (path.is_file() and not _is_stream(given))
    problem = f"{given} is a device, a pipe or a stream; give the name of a file"
    require(is_plain, problem, OSError)
    problem = f"there is no folder {path.parent} to write {path.name} into; make it first"
    require(path.parent.is_dir(), problem, FileNotFoundError)
    for place in (path.parent, path):
        what = "folder" if place.is_dir() else "file"
        problem = f"the {what} {place} is not writable; choose another place for {path.name}"
        require(not place.exists() or os.access(place, os.W_OK), problem, PermissionError)
    is_read = path.exists() and any(Path(other).exists() and path.samefile(other) for other in inputs)
    problem = f"{given} is read for this result and would be overwritten; give the output another name"
    require(not is_read, problem, FileExistsError)
    return path


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

    It may be one that does not exist yet, in a folder that does.

    Raises
    ------
    OSError
        If ``path`` is a file, the folder above it does not exist, or there is no right to write.
    """
    path = Path(path)
    is_file = path.exists() and not path.is_dir()
    require(not is_file, f"{path} is a file; give the name of a folder", NotADirectoryError)
    above = path if path.exists() else path.absolute().parent
    problem = f"there is no folder {above} to make {path.name} in; make it first"
    require(above.is_dir(), problem, FileNotFoundError)
    problem = f"the folder {above} is not writable; choose another place"
    require(os.access(above, os.W_OK), problem, PermissionError)
    return path


def write_whole(path: PathLike, content: bytes) -> None:
    """Write ``content`` to a temporary file in the same folder and rename it into place.

    A reader sees the old file or the new one, and a failure leaves the old one as it was. The new file has the old
    one's owner and rights.

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
    """Open a new locked file next to ``path``, with its permissions; remove such files that killed saves left."""
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
            with contextlib.suppress(PermissionError):  # only root gives files away
                os.fchown(descriptor, old.st_uid, old.st_gid)
            os.fchmod(descriptor, mode)
        yield descriptor, temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def lock(descriptor: int, *, wait: bool) -> bool:
    """Return whether the file is now locked by this process; ``False`` where files cannot be locked.

    The lock ends when the file is closed, or with the process.
    """
    import fcntl  # here, because Windows has none

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process holds the lock, or this file system has none
        return False
    return True


def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of our own whose process has ended, so that nobody holds their lock."""
    for leftover in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        with contextlib.suppress(OSError):  # not ours, a link, or gone already
            descriptor = os.open(leftover, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                status = os.fstat(descriptor)
                ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid()
                if ours and lock(descriptor, wait=False):
                    leftover.unlink(missing_ok=True)
            finally:
                os.close(descriptor)
