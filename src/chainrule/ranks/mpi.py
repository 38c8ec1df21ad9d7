"""MPI: ranks are processes that ``mpiexec`` started, on one machine or several; sums are over arrays of the host.

An MPI job hangs if one process ends while the others wait for it. Therefore an uncaught exception ends all
processes, and so does an error of the command line.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from chainrule._version import how_to_install
from chainrule.ranks.group import ALONE, Group, check_tree

try:
    from mpi4py import MPI
except ImportError as error:
    hint = f"ranks='mpi' needs mpi4py and an MPI; {how_to_install('mpi')} and an MPI such as: pip install mpich"
    raise ImportError(hint) from error

_GROUP = MPI.Comm.Create_keyval()
GRACE_SECONDS = 1.0  # the other ranks raise the same error within this time


class MpiGroup(Group):
    """A rank that is a process of MPI; ``communicator`` is mpi4py's, by default the communicator of all processes."""

    name = "mpi"
    joined: ClassVar[Group | None] = None

    def __init__(self, communicator: Any = None, *, tree: bool = False) -> None:
        super().__init__(tree=tree)
        given = communicator or MPI.COMM_WORLD
        self.rank, self.size = given.Get_rank(), given.Get_size()
        if tree:
            check_tree(self.size)
        self._all, self._failing = given, None
        if self.size > 1:  # before the first message, which may wait for a rank that starts late
            if MpiGroup.joined is None:
                sys.excepthook = partial(_fail, sys.excepthook)
            MpiGroup.joined = self
        # Duplicates, so that our messages are never confused with the caller's.
        self._all, self._failing = given.Dup(), given.Dup()
        neighbours = given.Split_type(MPI.COMM_TYPE_SHARED)
        self.neighbours = neighbours.Get_size()
        neighbours.Free()

    @classmethod
    def of(cls, communicator: Any) -> "MpiGroup":
        """Return the group of a communicator, which is made once and kept with the communicator."""
        group: MpiGroup | None = communicator.Get_attr(_GROUP)
        if group is None:
            group = cls(communicator)
            communicator.Set_attr(_GROUP, group)
        return group

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order."""
        values: list[Any] = self._all.allgather(value)
        return values

    def fail(self, code: int, show: Callable[[], None]) -> None:
        """Show an error once, and end the ranks that do not have it, with an exit code."""
        if self.rank == 0:
            show()
        if self._have_all_failed():
            return
        if self.rank > 0:
            show()
        sys.stderr.flush()
        self._all.Abort(code)

    def _have_all_failed(self) -> bool:
        if self._failing is None:
            return False
        meeting, end = self._failing.Ibarrier(), time.monotonic() + GRACE_SECONDS
        while not meeting.Test():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    def _sum(self, buffer: np.ndarray) -> None:
        self._all.Allreduce(MPI.IN_PLACE, buffer)

    def _swap(self, buffer: np.ndarray, other: int) -> np.ndarray:
        received = np.empty_like(buffer)
        self._all.Sendrecv(buffer, other, recvbuf=received, source=other)
        return received


def _fail(usual: Callable[..., None], *error: Any) -> None:
    """Show an uncaught exception with its rank, and end all ranks."""
    group = MpiGroup.joined or ALONE

    def show() -> None:
        sys.stderr.write(f"rank {group.rank} of {group.size}:\n")
        usual(*error)

    group.fail(1, show)
