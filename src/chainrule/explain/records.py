"""Records: the parts of an explanation as plain values, independent of how they are shown."""

import math
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

COLUMNS = ("", "before", "gradient", "change", "change / before")
CAPTION = "what the step changes, in norms"
_FIRST = 4  # number of entries shown per array


class Formula(NamedTuple):
    """One formula in three spellings."""

    text: str
    html: str
    latex: str


@dataclass(frozen=True)
class Line:
    """One factor of the chain rule, or an intermediate value."""

    name: str  # "dL_dW1"
    section: str  # "inputs", "forward", "loss", "backward" or "update"
    layer: int | None
    symbol: Formula  # "dL/dW1"
    formula: Formula  # "(dZ/dW1).T @ dL/dZ1"; empty for inputs
    products: tuple[str, ...]  # "(2, 4) @ (4, 4) -> (2, 4)"
    source: str  # "layers.py:90"
    code: str  # the statement on that line
    array: np.ndarray = field(repr=False, compare=False)
    renews: bool = False  # whether it replaces the value of the same name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    @property
    def norm(self) -> float:
        """The Euclidean norm of all entries."""
        return norm(self.array)

    @property
    def smallest(self) -> float:
        """The smallest entry; NaN if any is NaN."""
        return float(np.min(self.array))

    @property
    def largest(self) -> float:
        """The largest entry; NaN if any is NaN."""
        return float(np.max(self.array))

    @property
    def first(self) -> tuple[float, ...]:
        """The first entries, row by row."""
        return tuple(map(float, self.array.reshape(-1)[:_FIRST]))

    def to_dict(self) -> dict[str, Any]:
        """Return the line as a ``dict`` for JSON, with its norm, range and first entries instead of the array.

        Returns
        -------
        dict
            With the keys ``name``, ``section``, ``layer``, ``products``, ``source``, ``code``, ``shape``, ``norm``,
            ``smallest``, ``largest``, ``first``, ``formula``, ``latex`` and ``dtype``; NaN and infinity as strings.
        """
        names = ("name", "section", "layer", "products", "source", "code", "shape")
        record = _for_json(self, *names, "norm", "smallest", "largest", "first")
        record |= {"formula": self.formula.text, "latex": self.formula.latex}
        return record | {"dtype": self.array.dtype.name}


@dataclass(frozen=True)
class Update:
    """How the step changes one parameter."""

    name: str  # "W1"
    shape: tuple[int, ...]
    norm: float  # the norm before the step
    gradient: float  # the norm of dL/dW1, before weight decay and clipping
    change: float  # the norm of the change
    after: np.ndarray = field(repr=False, compare=False)

    @property
    def ratio(self) -> float:
        """The norm of the change divided by the norm of the parameter; NaN if the parameter is 0."""
        return self.change / self.norm if self.norm else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the update as a ``dict`` for JSON.

        Returns
        -------
        dict
            With the keys ``shape``, ``name``, ``norm``, ``gradient``, ``change`` and ``ratio``; NaN and infinity as
            strings.
        """
        return _for_json(self, "shape", "name", "norm", "gradient", "change", "ratio")


class Flag(NamedTuple):
    """A fault that keeps the network from learning, and its remedy."""

    kind: str  # "saturated units"
    where: str  # "layer 1", "X", "the step"
    what: str  # the fault, with numbers
    remedy: str

    def __str__(self) -> str:
        """Return the flag on one line."""
        return f"{self.kind}, {self.where}: {self.what}; {self.remedy}"


class Setting(NamedTuple):
    """Which network, step and data were explained."""

    network: str  # "2-4-1 (sigmoid, sigmoid)"
    loss: str
    rows: int
    optimizer: str
    learning_rate: float
    where: str  # "numpy, float64"


@dataclass(frozen=True)
class Document:
    """The contents of an explanation under headings, as the terminal and HTML show them."""

    setting: Setting
    lines: tuple[Line, ...]
    updates: tuple[Update, ...]
    loss_before: float  # with the penalty of the weight decay
    loss_after: float
    flags: tuple[Flag, ...] = ()  # empty if no fault was detected
    undecided: tuple[str, ...] = ()  # questions that the rows cannot answer, and why

    @property
    def title(self) -> str:
        """The network."""
        return f"one training step of {self.setting.network}"

    @property
    def subtitle(self) -> str:
        """The rows, the loss, the optimizer and the backend."""
        _, loss, rows, optimizer, rate, where = self.setting
        return f"{rows} rows, {loss}, {optimizer} at learning rate {figure(rate)}, {where}"

    @property
    def sections(self) -> list[tuple[str, list[Line]]]:
        """The lines under their headings: the part of the step, and the layer if it has one."""

        def heading(line: Line) -> str:
            has_layer = line.section in {"forward", "backward"} and line.layer is not None
            return f"{line.section}, layer {line.layer}" if has_layer else line.section

        return [(title, list(lines)) for title, lines in groupby(self.lines, key=heading)]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The table of updates: a row for each parameter, below ``COLUMNS``."""
        return [
            (u.name, *map(figure, (u.norm, u.gradient, u.change)), figure(u.ratio) if u.norm else "")
            for u in self.updates
        ]

    @property
    def losses(self) -> str:
        """The loss before and after the step, as a sentence."""
        before, after = figure(self.loss_before), figure(self.loss_after)
        return f"the loss goes from {before} to {after} on these rows"


def norm(array: np.ndarray) -> float:
    """Return the Euclidean norm of all entries, computed in float64.

    Parameters
    ----------
    array : ndarray
        Real numbers, in any shape.

    Returns
    -------
    float
        0 or more; NaN if any entry is NaN.

    Examples
    --------
    >>> norm(np.asarray([[3.0], [4.0]], dtype=np.float32))
    5.0
    """
    return float(np.linalg.norm(array.astype(np.float64)))


def figure(number: float) -> str:
    """Return a number with four significant digits.

    Parameters
    ----------
    number : float
        The number; it may be NaN or infinite.

    Returns
    -------
    str
        The digits, or "NaN".

    Examples
    --------
    >>> figure(0.00012345), figure(2.0), figure(float("nan"))
    ('0.0001234', '2', 'NaN')
    """
    return "NaN" if math.isnan(number) else f"{number:.4g}"


def figures(line: Line, width: float = math.inf) -> str:
    """Return the shape, norm, range and first entries of an array, with as many entries as fit into ``width``.

    Parameters
    ----------
    line : Line
        The line that has the array.
    width : float
        The number of characters that the result may have; the shape, norm and range are shown even if they need more.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> from chainrule import NeuralNetwork
    >>> figures(NeuralNetwork(2, 4, 1, seed=1).explain([[0, 2], [1, 1]], [[1], [0]])["X"])
    '(2, 2)  norm 2.449  0 to 2  [0 2 1 1]'
    """
    if line.array.size == 1:
        return f"{line.shape}  {figure(line.first[0])}"
    head = f"{line.shape}  norm {figure(line.norm)}  {figure(line.smallest)} to {figure(line.largest)}"
    for count in range(len(line.first), 0, -1):
        more = "" if count == line.array.size else " ..."
        text = f"{head}  [{' '.join(f'{entry:.3g}' for entry in line.first[:count])}{more}]"
        if len(text) <= width:
            return text
    return head


def jsonable(number: Any) -> Any:
    """Return a number, or a tuple of numbers, as JSON can hold it: NaN and infinity as strings.

    Parameters
    ----------
    number : int, float, str, None or tuple
        The number, or a tuple of them; text and ``None`` are returned as they are.

    Returns
    -------
    int, float, str or list
        A list for a tuple.

    Examples
    --------
    >>> jsonable((1.5, float("nan")))
    [1.5, 'nan']
    """
    if isinstance(number, tuple):
        return [jsonable(part) for part in number]
    return number if not isinstance(number, float) or np.isfinite(number) else str(number)


def _for_json(record: object, *names: str) -> dict[str, Any]:
    return {name: jsonable(getattr(record, name)) for name in names}
