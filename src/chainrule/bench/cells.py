"""Cells: a network, a batch size and a dtype; presets and grids of them."""

import math
import re
from itertools import pairwise

from chainrule.backends.speed_map.spots import Workload
from chainrule.mathematics.naming import check_known, require

# The network of each preset, with H for the hidden size.
PRESETS = {
    "tabular": "32-H-1",
    "digits": "64-H-10",
    "mnist": "784-H-10",
    "deep": "64-H-H-8,adam",
}
DTYPES = ("float32", "float64")
GRID = "H=16..4096:x4 B=1..4096:x8"
QUICK_GRID = "H=32,256,1024 B=1,64,1024"


class Cell(Workload):
    """A network, its rule of learning, a batch size and a dtype.

    ``sgd``: sigmoid units, half the sum of squared errors, SGD, one hidden layer. ``adam``: relu, softmax
    cross-entropy, Adam, of any depth.

    Examples
    --------
    >>> Cell((784, 512, 10), 512).flops  # 4 B I H + 6 B H O
    837812224
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """The name in tables and on the command line."""
        sizes = "-".join(map(str, self.sizes))
        more = [self.rule] if self.rule != "sgd" else []
        more += [self.dtype] if self.dtype != "float32" else []
        return ",".join([sizes, str(self.batch), *more])

    @property
    def hidden(self) -> int:
        """The widest hidden layer."""
        return max(self.sizes[1:-1])

    @property
    def depth(self) -> int:
        """The number of layers with weights."""
        return len(self.sizes) - 1

    @property
    def flops(self) -> int:
        """The floating-point operations of a step's products, ``6 B sum n_in n_out - 2 B n_0 n_1``."""
        return 3 * self.forward_flops - 2 * self.batch * self.sizes[0] * self.sizes[1]

    @property
    def forward_flops(self) -> int:
        """The floating-point operations of a forward pass, ``2 B sum n_in n_out``."""
        return 2 * self.batch * sum(n_in * n_out for n_in, n_out in pairwise(self.sizes))

    @property
    def working_set(self) -> int:
        """The bytes that a step touches, each counted once: parameters, optimizer state and batch."""
        return self.itemsize * (self._state + self._batch_numbers)

    def least_bytes(self, operation: str = "step") -> int:
        """Return the bytes that any implementation must read and write.

        With P parameters, numbers of s bytes, and the targets' width n_t (1 for classes, n_L for values)::

            SGD:           s (2 P + B (n_0 + n_t))   parameters read and written, the batch read
            Adam:          s (6 P + B (n_0 + n_t))   the same with both moments
            forward pass:  s (P + B (n_0 + n_L))     parameters and X read, outputs written

        Activations and gradients are not counted, since an implementation may keep them in registers or caches.

        Parameters
        ----------
        operation : str
            "forward" for a forward pass; any other, such as "step", counts as a training step.

        Returns
        -------
        int
            The number of bytes per pass or step.

        Examples
        --------
        >>> Cell((2, 3, 1), 4).least_bytes()  # 13 parameters, 4 rows of 2 features and a target
        152
        """
        if operation == "forward":
            return self.itemsize * (self.parameters + self.batch * (self.sizes[0] + self.sizes[-1]))
        return self.itemsize * (2 * self._state + self._batch_numbers)

    @property
    def itemsize(self) -> int:
        """The bytes per number."""
        return 8 if self.dtype == "float64" else 4

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))

    @property
    def _state(self) -> int:
        """The count of updated numbers: the parameters and, with Adam, their moments."""
        return self.parameters * (3 if self.rule == "adam" else 1)

    @property
    def _batch_numbers(self) -> int:
        return self.batch * (self.sizes[0] + (1 if self.rule == "adam" else self.sizes[-1]))


_CELL = re.compile(r"([1-9]\d*(?:-[1-9]\d*){2,}),([1-9]\d*)(?:,(sgd|adam))?(?:,(float32|float64))?")


def parse(text: str) -> Cell:
    """Return the cell of this name.

    Parameters
    ----------
    text : str
        The sizes of the layers and the batch size, then optionally the rule and the dtype: "64-16-10,32,adam,float64".

    Returns
    -------
    Cell
        With the rule "sgd" and the dtype "float32" unless the name has others.

    Raises
    ------
    ValueError
        If there is none, or it is ``sgd`` with more than one hidden layer.

    Examples
    --------
    >>> parse("64-16-10,32")
    Cell(sizes=(64, 16, 10), batch=32, rule='sgd', dtype='float32')
    >>> parse("784-512-256-10,512,adam,float64").name
    '784-512-256-10,512,adam,float64'
    """
    parts = _CELL.fullmatch(text)
    if parts is None:
        msg = f"no cell {text!r}; write it as 64-256-10,32 or 64-256-256-10,128,adam"
        raise ValueError(msg)
    sizes, batch, rule, dtype = parts.groups()
    cell = Cell(tuple(map(int, sizes.split("-"))), int(batch), rule or "sgd", dtype or "float32")
    problem = f"cell {cell.name!r} has {cell.depth - 1} hidden layers; only cells with ',adam' may"
    require(cell.depth <= 2 or cell.rule != "sgd", problem)
    return cell


def preset(name: str, grid: str, dtype: str = "float32") -> list[Cell]:
    """Return the cells of a preset over a grid, narrow and small first.

    Parameters
    ----------
    name : str
        "tabular", "digits", "mnist" or "deep".
    grid : str
        The hidden sizes H and batch sizes B, each a list, or from, to and factor: "H=16,64 B=1..4096:x8".
    dtype : str
        "float32" or "float64".

    Returns
    -------
    list of Cell
        A cell for each pair of H and B, sorted by H, then by B.

    Raises
    ------
    ValueError
        If there is no such preset, or an axis of the grid is missing or wrong.

    Examples
    --------
    >>> [cell.name for cell in preset("digits", "H=16..64:x4 B=1,8")]
    ['64-16-10,1', '64-16-10,8', '64-64-10,1', '64-64-10,8']
    """
    check_known("preset", name, list(PRESETS))
    parts = dict(part.partition("=")[::2] for part in grid.split())
    require(set(parts) == {"H", "B"}, f"grid {grid!r}: wanted both axes, as in {GRID!r}")
    network, _, rule = PRESETS[name].partition(",")
    return [
        parse(f"{network.replace('H', str(H))},{B},{rule or 'sgd'},{dtype}")
        for H in _axis(parts["H"])
        for B in _axis(parts["B"])
    ]


def _axis(text: str) -> list[int]:
    """Return the numbers of ``16..4096:x4`` or ``16,64,256``."""
    steps = re.fullmatch(r"([1-9]\d*)\.\.(\d+):x(\d+)", text)
    start, stop, factor = map(int, steps.groups()) if steps else (1, 0, 0)
    if start <= stop and factor > 1:
        powers = range(int(math.log(stop / start, factor) + 1e-9) + 1)
        return [start * factor**power for power in powers]
    is_list = re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", text)
    require(is_list, f"grid axis {text!r}: wanted 16..4096:x4 (from, to, factor) or 16,64,256")
    return sorted(set(map(int, text.split(","))))


def template_of(cell: Cell) -> str:
    """Return the preset of the cell, or its sizes with H for equal hidden sizes.

    Parameters
    ----------
    cell : Cell
        The cell; its batch size and dtype are ignored.

    Returns
    -------
    str
        The name of the preset, or the sizes as in "100-H-5", followed by ",adam" for the rule "adam".

    Examples
    --------
    >>> template_of(parse("784-512-10,8")), template_of(parse("100-20-5,8"))
    ('mnist', '100-H-5')
    """
    first, *hidden, last = cell.sizes
    middle = hidden if len(set(hidden)) > 1 else ["H"] * len(hidden)
    pattern = "-".join(map(str, [first, *middle, last]))
    pattern += "" if cell.rule == "sgd" else f",{cell.rule}"
    return next((name for name, one in PRESETS.items() if one == pattern), pattern)
