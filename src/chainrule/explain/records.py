"""Records: an explanation as plain values, to read by program or by eye."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
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
    """One factor of the chain rule, or one step on the way to it."""

    name: str  # "dL_dW1"
    section: str  # one of SECTIONS
    layer: int | None
    symbol: Formula  # "dL/dW1"
    formula: Formula  # "(dZ/dW1).T @ dL/dZ1"; empty for what goes in
    products: tuple[str, ...]  # "(2, 4) @ (4, 4) -> (2, 4)"
    source: str  # "layers.py:90"
    code: str  # the statement there
    array: np.ndarray = field(repr=False, compare=False)
    renews: bool = False  # whether it takes the place of what had its name

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.array.shape

    @property
    def norm(self) -> float:
        """The Euclidean norm of all entries."""
        return float(np.linalg.norm(self.array.astype(np.float64)))

    @property
    def smallest(self) -> float:
        """The smallest entry; NaN where there is one."""
        return float(np.min(self.array))

    @property
    def largest(self) -> float:
        """The largest entry; NaN where there is one."""
        return float(np.max(self.array))

    @property
    def first(self) -> tuple[float, ...]:
        """The first entries, row by row."""
        return tuple(float(entry) for entry in self.array.reshape(-1)[:_FIRST])

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it: without the array, its figures instead."""
        figures = {name: getattr(self, name) for name in ("norm", "smallest", "largest", "first")}
        return {
            "name": self.name,
            "section": self.section,
            "layer": self.layer,
            "formula": self.formula.text,
            "latex": self.formula.latex,
            "products": list(self.products),
            "source": self.source,
            "code": self.code,
            "shape": list(self.shape),
            "dtype": self.array.dtype.name,
            **{name: _json(figure) for name, figure in figures.items()},
        }


@dataclass(frozen=True)
class Update:
    """What the step does to one parameter."""

    name: str  # "W1"
    shape: tuple[int, ...]
    norm: float  # before
    gradient: float  # the norm of dL/dW1, before weight decay and clipping
    change: float  # the norm of what is added
    after: np.ndarray = field(repr=False, compare=False)

    @property
    def ratio(self) -> float:
        """The change over the parameter, norm by norm; NaN where the parameter is 0."""
        return self.change / self.norm if self.norm else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON knows it."""
        names = ("name", "norm", "gradient", "change", "ratio")
        return {"shape": list(self.shape)} | {name: _json(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Flag:
    """Something that keeps the network from learning, and what to do about it."""

    kind: str  # "saturated units"
    where: str  # "layer 1", "X", "the step"
    what: str  # with figures
    remedy: str

    def __str__(self) -> str:
        """Return it on one line."""
        return f"{self.kind}, {self.where}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Setting:
    """What was explained."""

    network: str  # "2-4-1, sigmoid, sigmoid"
    loss: str
    rows: int
    optimizer: str
    learning_rate: float
    where: str  # "numpy, float64"


@dataclass(frozen=True)
class Findings:
    """What the diagnosis found."""

    flags: tuple[Flag, ...] = ()
    undecided: tuple[str, ...] = ()  # what could not be told, and why


@dataclass(frozen=True, repr=False)
class Explanation:
    """One training step, factor by factor, in the order of the computation.

    Print it, show it in a notebook, or read it: ``explanation["dL_dW1"].array``.
    """

    setting: Setting
    lines: tuple[Line, ...]
    updates: tuple[Update, ...]
    loss_before: float  # with the penalty of the weight decay
    loss_after: float
    findings: Findings = field(default_factory=Findings)

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What is wrong; empty where nothing was found."""
        return self.findings.flags

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __getitem__(self, name: str) -> Line:
        """Return the line of that name, such as ``"dL_dW1"``."""
        from chainrule.mathematics.naming import nearest

        for line in self.lines:
            if line.name == name:
                return line
        names = [line.name for line in self.lines]
        msg = f"the step has no {name!r}{nearest(name, names)}"
        raise KeyError(msg)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON knows it; what is not finite is written out ("nan", "inf")."""
        return {
            **asdict(self.setting),
            "loss": {"before": _json(self.loss_before), "after": _json(self.loss_after)},
            "lines": [line.to_dict() for line in self.lines],
            "updates": [update.to_dict() for update in self.updates],
            "flags": [asdict(flag) for flag in self.flags],
            "undecided": list(self.findings.undecided),
        }

    def latex(self) -> str:
        """Return the formulas as one ``align*`` of LaTeX (amsmath), a line each."""
        from chainrule.explain.latex import document

        return document(self)

    def __str__(self) -> str:
        """Return it as plain text, 80 columns wide."""
        from chainrule.explain.text import plain

        return plain(self)

    def __repr__(self) -> str:
        """Return it in a few words; printing shows it all."""
        found = ", ".join(flag.kind for flag in self.flags) or "nothing wrong found"
        return f"Explanation({self.setting.network}, {len(self.lines)} lines, {found})"

    def __rich__(self) -> Any:
        from chainrule.explain.text import renderable

        return renderable(self)

    def _repr_html_(self) -> str:
        from chainrule.explain.html import page

        return page(self)


def _json(figure: Any) -> Any:
    """Return a number, or numbers, with what JSON has no word for written out."""
    if isinstance(figure, tuple):
        return [_json(part) for part in figure]
    return figure if not isinstance(figure, float) or np.isfinite(figure) else str(figure)
