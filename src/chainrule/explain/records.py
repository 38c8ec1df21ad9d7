"""Records: the parts of an explanation as plain values, independent of how they are shown."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

SECTIONS = ("inputs", "forward", "loss", "backward", "update")
_FIRST = 4  # entries shown of an array


class Formula(NamedTuple):
    """One formula in three spellings."""

    text: str
    html: str
    latex: str


@dataclass(frozen=True)
class Line:
    """One factor of the chain rule, or an intermediate value."""

    name: str  # "dL_dW1"
    section: str  # one of SECTIONS
    layer: int | None
    symbol: Formula  # "dL/dW1"
    formula: Formula  # "(dZ/dW1).T @ dL/dZ1"; empty for inputs
    products: tuple[str, ...]  # "(2, 4) @ (4, 4) -> (2, 4)"
    source: str  # "layers.py:90"
    code: str  # the statement there
    array: np.ndarray = field(repr=False, compare=False)
    renews: bool = False  # whether it replaces the value of the same name

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.array.shape

    @property
    def norm(self) -> float:
        """The Euclidean norm of all entries."""
        return float(np.linalg.norm(self.array.astype(np.float64)))

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
        return tuple(float(entry) for entry in self.array.reshape(-1)[:_FIRST])

    def to_dict(self) -> dict[str, Any]:
        """Return the line as JSON can hold it, with figures instead of the array."""
        texts = ("name", "section", "layer", "products", "source", "code", "shape")
        names = (*texts, "norm", "smallest", "largest", "first")
        formula = {"formula": self.formula.text, "latex": self.formula.latex}
        return (
            {name: jsonable(getattr(self, name)) for name in names}
            | formula
            | {"dtype": self.array.dtype.name}
        )


@dataclass(frozen=True)
class Update:
    """How the step changes one parameter."""

    name: str  # "W1"
    shape: tuple[int, ...]
    norm: float  # before
    gradient: float  # the norm of dL/dW1, before weight decay and clipping
    change: float  # the norm of the difference
    after: np.ndarray = field(repr=False, compare=False)

    @property
    def ratio(self) -> float:
        """The norm of the change over that of the parameter; NaN if the parameter is 0."""
        return self.change / self.norm if self.norm else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return the update as JSON can hold it."""
        names = ("shape", "name", "norm", "gradient", "change", "ratio")
        return {name: jsonable(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Flag:
    """A fault that keeps the network from learning, and what to do about it."""

    kind: str  # "saturated units"
    where: str  # "layer 1", "X", "the step"
    what: str  # with figures
    remedy: str

    def __str__(self) -> str:
        """Return the flag on one line."""
        return f"{self.kind}, {self.where}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Setting:
    """Which network, step and data were explained."""

    network: str  # "2-4-1 (sigmoid, sigmoid)"
    loss: str
    rows: int
    optimizer: str
    learning_rate: float
    where: str  # "numpy, float64"


def jsonable(figure: Any) -> Any:
    """Return a number, or a tuple of numbers, as JSON can hold it: NaN and infinity as strings.

    Examples
    --------
    >>> jsonable((1.5, float("nan")))
    [1.5, 'nan']
    """
    if isinstance(figure, tuple):
        return [jsonable(part) for part in figure]
    return figure if not isinstance(figure, float) or np.isfinite(figure) else str(figure)
