"""Resuming: checkpoints of a run in a folder, from which the run continues with the same bits.

Checkpoints are numbered, because clocks may go back. A checkpoint is written completely or not at all, and the
newest ones are kept, so there is always a good one. The folder is locked while a run uses it; the operating
system releases the lock when the process ends.
"""

import json
import os
import re
import sys
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from chainrule.data.inputs import host
from chainrule.mathematics.checks import FINITE, at_least, check_number
from chainrule.mathematics.naming import quoted, require
from chainrule.ranks.group import Group
from chainrule.saving import checkpoint
from chainrule.saving.files import PathLike, check_folder, lock
from chainrule.training.batches import Chance, TrainingRows
from chainrule.training.display import say

KEPT = 3  # number of checkpoints to keep
_NAME = re.compile(r"checkpoint-(\d+)\.safetensors")
_MOST_BYTES = 2**28  # size of data; of larger data, only evenly spaced rows are compared


# The state of a run between two steps: arrays and plain values.
Snapshot = tuple[dict[str, np.ndarray], dict[str, Any]]


class RunFolder:
    """The checkpoints of one run, in a folder that is locked for other runs.

    Parameters
    ----------
    path : str or path
        The folder; it is created if it does not exist.
    seconds, epochs : float, int or None
        How often a checkpoint is due.
    group : Group
        The ranks that train together; rank 0 reads and writes.
    resume : bool
        Whether to continue the run that the folder may contain.

    Attributes
    ----------
    newest : Snapshot or None
        The last good checkpoint, to continue from; ``None`` in a new run.
    notes : list of str
        The lines that were printed.

    Raises
    ------
    OSError
        If the folder is not writable, another run uses it, or it contains a run and ``resume`` is false.
    """

    def __init__(
        self, path: PathLike, seconds: float, epochs: int | None, group: Group, *, resume: bool
    ) -> None:
        check_number("checkpoint_seconds", seconds, FINITE)
        self.epochs = None if epochs is None else at_least(1, "checkpoint_epochs", epochs)
        self.path = check_folder(path)
        self.newest: Snapshot | None = None
        self.notes: list[str] = []
        self._seconds, self._resume, self._start = seconds, resume, ""
        self._group, self._leads = group, group.rank == 0
        self._settings: dict[str, Any] = {}
        self._first_draws: list[Any] = []
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        if self._leads:
            self._take()
        self.newest = self._group.broadcast(self.newest)
        return self

    def _take(self) -> None:
        self.path.mkdir(exist_ok=True)
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            problem = f"another run uses the folder {self.path}; wait for it, or give another folder"
            require(lock(self._lock, wait=False), problem, BlockingIOError)
            self._open()
        except BaseException:
            os.close(self._lock)
            raise

    def __exit__(self, *_: object) -> None:
        if self._leads:
            os.close(self._lock)

    def _open(self) -> None:
        numbers = self._numbers()
        self._number = max(numbers, default=0)
        problem = f"the folder {self.path} holds a run already; resume it, or give another folder"
        require(self._resume or not numbers, problem, FileExistsError)
        for number in reversed(numbers):
            try:
                arrays, record = checkpoint.read(self._file(number))
                require({"settings", "draws"} <= record.keys(), "it is not a checkpoint of a run")
            except (OSError, ValueError) as error:
                self.say(f"{self._file(number)} is not used: {error}")
            else:
                self.newest, self._start = (arrays, record), f"continuing from {self._file(number)}"
                return
        if self._resume:
            self._start = f"no checkpoint in {self.path}: starting from the beginning"

    def _file(self, number: int) -> Path:
        return self.path / f"checkpoint-{number:06d}.safetensors"

    def _numbers(self) -> list[int]:
        names = [_NAME.fullmatch(path.name) for path in self.path.iterdir()]
        return sorted(int(name[1]) for name in names if name)

    def say(self, line: str) -> None:
        """Print a line to standard error, and keep it for the notes of the history."""
        self.notes.append(line)
        say(line, sys.stderr)

    def begin(self, chance: Chance) -> None:
        """Set the random numbers to the state at which the continued run began."""
        if self.newest is not None:
            chance.state = self.newest[1]["first_draws"]
        self._first_draws = chance.state

    def check(
        self, settings: Mapping[str, Any], data: TrainingRows, validation: TrainingRows | None
    ) -> None:
        """Raise if the run in the folder has other settings or other data.

        Raises
        ------
        ValueError
            The message names the settings that differ.
        """
        of_data = {"data": self._print_of(data), "validation_data": self._print_of(validation)}
        if not self._leads:  # `loop` compares the ranks
            return
        self._settings = json.loads(json.dumps({**settings, **of_data}, default=float))
        saved = self._settings if self.newest is None else self.newest[1]["settings"]
        problem = f"another version of chainrule began the run in {self.path}; continue with that, or give another folder"
        require(saved.keys() == self._settings.keys(), problem)
        differences = [
            f"{name.replace('_', ' ')}{_change(saved[name], self._settings[name])}"
            for name in saved
            if saved[name] != self._settings[name]
        ]
        problem = f"the run in {self.path} differs in {', '.join(differences)}; give its settings, or another folder"
        require(not differences, problem)
        if self._start:
            self.say(self._start)

    def _print_of(self, data: TrainingRows | None) -> str | None:
        """Return the fingerprint of the data, or of all ranks' data if each rank has its own rows."""
        if data is None:
            return None
        own = fingerprint(data)
        return own if data.counts is None else "; ".join(self._group.gather(own))

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        return self._leads and time.monotonic() - self._written >= self._seconds

    def write(self, snapshot: Snapshot) -> None:
        """Write the next checkpoint, and remove old ones.

        Raises
        ------
        OSError
            If it cannot be written; the other checkpoints are unchanged.
        """
        if not self._leads:
            return
        self._written = time.monotonic()  # also after a failure, which is not repeated at once
        arrays, record = snapshot
        record |= {"settings": self._settings, "first_draws": self._first_draws}
        try:
            checkpoint.write(self._file(self._number + 1), arrays, record)
        except OSError as error:
            msg = f"no checkpoint could be written to {self.path}: {error.strerror or error}; make room there"
            raise OSError(msg) from error
        self._number += 1
        for number in self._numbers()[:-KEPT]:
            with suppress(OSError):  # a folder of that name, or removed already
                self._file(number).unlink()

    def keep(self, snapshot: Snapshot) -> None:
        """Write the next checkpoint; if that fails, print a line and continue training."""
        try:
            self.write(snapshot)
        except OSError as error:
            self.say(f"{error}; training continues")


def _change(before: Any, now: Any) -> str:
    return "" if isinstance(now, list | dict) else f" (it has {quoted(before)}, now {quoted(now)})"


def fingerprint(data: TrainingRows) -> str:
    """Return the number of rows and a checksum of data, for comparison.

    Examples
    --------
    >>> from chainrule.mathematics.step import Batch
    >>> fingerprint(TrainingRows(Batch(X=np.ones((2, 3)), Y=np.ones((2, 1)))))
    '2 rows, d56e6bdd'
    """
    parts, total = [part for part in data.some() if part is not None], 0
    for part in parts:
        every = 1 + part.shape[0] * part.shape[1] * 8 // _MOST_BYTES
        total = zlib.crc32(np.ascontiguousarray(host(part[::every, :])).data, total)
    return f"{data}, {total:08x}"
