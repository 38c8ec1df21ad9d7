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

    def gather(self, source: np.ndarray, rows: np.ndarray, out: np.ndarray) -> Item:
        """Return what copies rows of ``source`` to ``out``."""

    def ready(self, threads: Sequence[Sequence[Item]]) -> Callable[[], None]:
        """Return what runs these items, each thread its own, and returns when all are done."""

    def __hash__(self) -> int:
        """Return the same number for kernels that are the same: a plan made for them is found again."""
