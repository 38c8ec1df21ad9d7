"""Files: written whole or not at all."""

import os
from pathlib import Path

PathLike = str | os.PathLike[str]


def check_writable(path: PathLike) -> Path:
    """Return the file that ``path`` stands for, or say at once why it could not be written.

    Asked before long work, whose outcome would otherwise have nowhere to go.

    Raises
    ------
    OSError
        If ``path`` is a folder, its folder does not exist, or that folder is not writable.
    """
    path = Path(os.path.realpath(path))  # through a link, the file it points to is replaced
    if path.is_dir():
        msg = f"{path} is a folder; give the name of a file in it"
        raise IsADirectoryError(msg)
    if not path.parent.is_dir():
        msg = f"there is no folder {path.parent} to write {path.name} into; make it first"
        raise FileNotFoundError(msg)
    if not os.access(path.parent, os.W_OK):
        msg = f"the folder {path.parent} is not writable; choose another place for {path.name}"
        raise PermissionError(msg)
    return path


def check_folder(path: PathLike) -> Path:
    """Return the folder ``path``, or say at once why no file could be written into it.

    It may be one that does not exist yet, in a folder that does.

    Raises
    ------
    OSError
        If ``path`` is a file, the folder above it does not exist, or there is no right to write.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        msg = f"{path} is a file; give the name of a folder"
        raise NotADirectoryError(msg)
    above = path if path.exists() else path.absolute().parent
    if not above.is_dir():
        msg = f"there is no folder {above} to make {path.name} in; make it first"
        raise FileNotFoundError(msg)
    if not os.access(above, os.W_OK):
        msg = f"the folder {above} is not writable; choose another place"
        raise PermissionError(msg)
    return path


def write_whole(path: PathLike, content: bytes) -> None:
    """Write ``content`` beside ``path`` and rename it into place.

    A reader sees the old file or the new one, and a failure leaves the old one as it was.
    """
    path = check_writable(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the bytes are on the disk before the name points to them
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
