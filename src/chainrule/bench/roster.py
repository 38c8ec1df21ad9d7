"""The roster: the contestants, the libraries that they need, and their names and colours.

The contestants are the rows of ``roster.csv``.
"""

import csv
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.bench.measure.environment import gpu
from chainrule.mathematics.naming import lookup

# Groups: the step's matrix products alone; chainrule; other libraries.
PRODUCTS, BACKEND, PEER = "products", "backend", "peer"
OPERATIONS = {
    "step": "a training step",
    "forward": "a forward pass",
    "epoch": "a step within an epoch of training",  # its batches drawn and its history kept
    "transfer": "a training step with its batch copied from the host",
}
_CUDA = {"cupy", "torch-cuda"}  # libraries


class Entry(NamedTuple):
    """One contestant.

    Attributes
    ----------
    name, group
        Its name; "products", "backend" or "peer".
    library
        The library of its arrays.
    code, arguments
        ``module:function``, which makes a ``Contestant`` of these arguments, a ``CellData`` and an operation.
    needs
        The modules that must be installed.
    description
        One line for tables.
    operations
        The :data:`OPERATIONS` that it can do.
    is_slow_to_make
        Whether it compiles for seconds in every cell; it then runs only if it is named.
    colour, mark
        Its look in figures: a colour that is legible on white and on black, and one of matplotlib's
        markers. No two entries have the same pair.
    """

    name: str
    group: str
    library: str
    code: str
    needs: tuple[str, ...]
    description: str
    operations: tuple[str, ...] = tuple(OPERATIONS)
    arguments: tuple[str, ...] = ()
    is_slow_to_make: bool = False
    colour: str = "#6f7781"  # for contestants that are not in the roster
    mark: str = "H"

    def missing(self) -> list[str]:
        """Return the modules that the contestant needs and that are neither installed nor in the current folder."""
        return [name for name in self.needs if not (find_spec(name) or PathFinder.find_spec(name, [""]))]

    def lacking(self) -> list[str]:
        """Return what the contestant needs and this machine does not have: modules, a device."""
        needs_device = self.device == "cuda" and not _has_gpu()
        return self.missing() + ["a CUDA device"] * needs_device

    @property
    def is_at_hand(self) -> bool:
        """Whether the contestant's modules are installed and the driver reports its device."""
        return not self.lacking()

    @property
    def device(self) -> str:
        """The contestant's device: "cpu" or "cuda"."""
        return device_of(self.library)

    def maker(self) -> Callable[[Any, str], Any]:
        """Return the function that makes the contestant."""
        module, function = self.code.split(":")
        path = module if self.name == self.code else f"chainrule.bench.{module}"
        return partial(getattr(import_module(path), function), *self.arguments)


@cache
def _has_gpu() -> bool:
    return gpu() is not None


def device_of(library: str) -> str:
    """Return the device of a library of the roster: "cpu" or "cuda"."""
    return "cuda" if library in _CUDA else "cpu"


def _entry(row: dict[str, Any]) -> Entry:
    words = {name: tuple(row[name].split()) for name in ("needs", "operations", "arguments")}
    return Entry(**row | words | {"is_slow_to_make": row["is_slow_to_make"] == "slow"})


with Path(__file__).with_suffix(".csv").open(encoding="utf-8", newline="") as _file:
    ROSTER = {row["name"]: _entry(row) for row in csv.DictReader(_file)}


def of(*groups: str, operation: str = "step") -> list[str]:
    """Return the names of the contestants of these groups that can do the operation.

    Examples
    --------
    >>> of(BACKEND, operation="epoch")
    ['numpy', 'numpy-jit', 'torch', 'jax', 'cupy', 'torch-cuda']
    """
    return [
        name for name, entry in ROSTER.items() if entry.group in groups and operation in entry.operations
    ]


def entry(name: str) -> Entry:
    """Return the contestant of this name.

    ``module:function`` names one of your own: the function takes a ``CellData`` and an operation, and
    returns a ``Contestant``.

    Raises
    ------
    ValueError
        If there is none; the message gives the nearest one.

    Examples
    --------
    >>> entry("numpy-jit").library, entry("mine.step:fast").group
    ('numpy', 'peer')
    """
    if name.count(":") == 1:
        package = name.partition(":")[0].partition(".")[0]
        return Entry(name, PEER, "numpy", name, (package,), "a contestant of your own")
    return lookup("contestant", name, Entry, ROSTER)


def ordered(names: Iterable[str]) -> list[str]:
    """Return the names, each once, in the roster's order; contestants of your own come last.

    Names that are not in the roster, from a later version, are left out.

    Examples
    --------
    >>> ordered(["torch", "mine.step:fast", "from-later", "numpy", "torch"])
    ['numpy', 'torch', 'mine.step:fast']
    """
    some = set(names)
    return [name for name in [*ROSTER, *sorted(some - set(ROSTER))] if name in some and is_known(name)]


def is_known(name: str) -> bool:
    """Return whether a contestant is in the roster, or is a ``module:function``."""
    return name in ROSTER or name.count(":") == 1


def products_of(name: str) -> str:
    """Return the name of the bare products with the library of a contestant; not every library has them.

    Examples
    --------
    >>> products_of("notebook"), products_of("torch-cuda-graph")
    ('products-numpy', 'products-torch-cuda')
    """
    return f"products-{entry(name).library}"


def with_products(names: Iterable[str]) -> list[str]:
    """Return the contestants, and before them the bare products with their libraries.

    Examples
    --------
    >>> with_products(["numpy", "notebook", "jax"])
    ['products-numpy', 'numpy', 'notebook', 'jax']
    """
    chosen = list(names)
    return list(dict.fromkeys([*filter(ROSTER.get, map(products_of, chosen)), *chosen]))
