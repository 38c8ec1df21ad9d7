"""Kernels: how the groups of a plan become something that runs in threads.

There are two kinds: calls of the array library (``interpreted.py``), and native instructions
(``native/kernels.py``).
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from chainrule.program.operations import Fusion
from chainrule.program.program import Program
from chainrule.program.replay import Arrays, Library

Item = Any  # what kernels make of a group: a call, or a native instruction

Phase = Sequence[Sequence[Item]]  # the items of each thread; threads without any may be left out

Subtract = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], Item]


class Kernels(Protocol):
    """How the groups of a plan become something that runs in threads."""

    library: Library

    def groups(self, program: Program) -> list[Fusion]:
        """Return the operations as they are to run."""

    def item(self, group: Fusion, arrays: Arrays, columns: slice, *, add: bool) -> list[Item]:
        """Return what runs a group on some columns; with ``add``, a product adds to its result."""

    @property
    def subtract(self) -> Subtract | None:
        """What returns the item for ``out -= rate A @ B``, of ``rate, A, B, out``; ``None``: there is no such product."""

    @property
    def at_once(self) -> int:
        """How many steps may run without a return to Python."""

    def gather(self, source: np.ndarray, index: np.ndarray, step: np.ndarray, out: np.ndarray) -> Item:
        """Return what copies the rows ``index[step]`` of ``source`` to ``out``."""

    def take(self, source: np.ndarray, step: np.ndarray, out: np.ndarray) -> Item:
        """Return what copies ``source[step]`` to ``out``."""

    def put(self, source: np.ndarray, out: np.ndarray, step: np.ndarray) -> Item:
        """Return what copies ``source`` to ``out[step]``."""

    def ready(self, phases: Sequence[Phase], steps: Sequence[np.ndarray]) -> Callable[[int], None]:
        """Return what runs this many steps, and returns when they are done.

        Each thread runs its items of a phase when all have run the phase before; each reads the number of
        the step in its own of ``steps``, ``(1,)`` int64.
        """

    def __hash__(self) -> int:
        """Return the same number for kernels that are the same: a plan made for them is found again."""
