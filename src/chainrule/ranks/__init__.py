"""Ranks: processes that train one network together; each computes the gradient of its own rows of every batch."""

import os
import sys
import warnings
from functools import cache
from typing import Any

from chainrule.mathematics.naming import quoted, require
from chainrule.ranks.group import Group

NAMES = ("alone", "alone:tree", "mpi", "mpi:tree", "nccl")
# The environment variables of launchers for a process's rank and the number of ranks: Open MPI; MPICH and Intel MPI.
_LAUNCHED = (("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"), ("PMI_RANK", "PMI_SIZE"))


def join(given: Any = None) -> Group:
    """Return the group of ranks that ``train(ranks=...)`` names.

    Parameters
    ----------
    given : str, Group or mpi4py communicator, optional
        "alone", "mpi" or "nccl"; the first two may end in ":tree". Default: ``CHAINRULE_RANKS``, else alone.

    Returns
    -------
    Group
        The same object for every call with the same name.

    Raises
    ------
    ValueError
        If there is no such group, or its sum does not run on this number of ranks.
    ImportError
        If mpi4py is not installed.

    Examples
    --------
    >>> join("alone:tree").size
    1
    """
    if given is None:
        given = os.environ.get("CHAINRULE_RANKS") or None
    if isinstance(given, Group):
        return given
    if hasattr(given, "Get_rank"):
        from chainrule.ranks.mpi import MpiGroup

        return MpiGroup.of(given)
    if given is None:
        _warn_of_launcher()
        return Group()
    require(str(given) in NAMES, f"ranks is {quoted(given)}; give one of {', '.join(NAMES)}")
    kind, _, tree = str(given).partition(":")
    return _named(kind, tree=bool(tree))


@cache
def _named(kind: str, *, tree: bool) -> Group:
    if kind == "alone":
        return Group(tree=tree)
    if kind == "nccl":
        from chainrule.ranks.nccl import NcclGroup

        return NcclGroup()
    from chainrule.ranks.mpi import MpiGroup

    return MpiGroup(tree=tree)


@cache
def _warn_of_launcher() -> None:
    """Warn, in the first of several processes of a launcher, that each of them trains its own network."""
    for rank, size in _LAUNCHED:
        if os.environ.get(rank) == "0" and os.environ.get(size, "1") != "1":
            msg = (
                f"{os.environ[size]} processes would each train a network and write the same files; give ranks='mpi' "
                "(or CHAINRULE_RANKS=mpi) to train one together, or ranks='alone'"
            )
            warnings.warn(msg, RuntimeWarning, stacklevel=5)


def current() -> Group:
    """Return the group of ranks that this process has joined, else a group of one process.

    Returns
    -------
    Group
        The group of the last :func:`join` with several ranks.

    Examples
    --------
    >>> current().size
    1
    """
    mpi: Any = sys.modules.get("chainrule.ranks.mpi")
    return (mpi and mpi.MpiGroup.joined) or Group()
