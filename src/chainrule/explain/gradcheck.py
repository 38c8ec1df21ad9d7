"""The gradient check: the derived gradient against oracles, parameter by parameter."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import NamedTuple

import numpy as np

from chainrule.explain.oracles import Oracle


class ParameterCheck(NamedTuple):
    """How far the derived gradient of one parameter array is from what the oracles say."""

    name: str
    shape: tuple[int, ...]
    checked: int  # how many entries were compared
    errors: Mapping[str, float]  # by oracle: largest difference, relative to the largest entry of either
    factor: float | None = None  # the derived gradient over the measured one, where that is one number

    @property
    def error(self) -> float:
        """The largest of the errors."""
        return max(self.errors.values(), default=0.0)


class GradientCheck(NamedTuple):
    """The check of all parameters; prints as a table, a column for each oracle."""

    parameters: tuple[ParameterCheck, ...]
    tolerances: Mapping[str, float]  # by oracle
    notes: tuple[str, ...] = ()  # which oracles were left out, and why

    @property
    def passed(self) -> bool:
        """Whether every parameter is within the tolerance of every oracle."""
        return not self.wrong

    @property
    def wrong(self) -> tuple[str, ...]:
        """The names of the parameters that are not."""
        return tuple(p.name for p in self.parameters if not self._is_right(p))

    @property
    def advice(self) -> str:
        """Where to look: an error shows in its own layer and in all layers below it."""
        if self.passed:
            return ""
        layer = max(int(name[1:]) for name in self.wrong)
        last = layer == max(int(p.name[1:]) for p in self.parameters)
        where = f"the derivative of layer {layer}'s activation"
        found = next(p for p in self.parameters if p.name in self.wrong and int(p.name[1:]) == layer)
        size = "" if found.factor is None else f"; it is {found.factor:.6g} times what it should be"
        return f"look at {where}{', or at the slope of the loss' if last else ''}{size}"

    def __str__(self) -> str:
        """Return the table, a line a parameter."""
        widths = {name: max(len(name), 7) for name in self.tolerances}
        heads = " ".join(f"{name:>{width}}" for name, width in widths.items())
        lines = [f"{'parameter':<9} {'shape':<12} {'entries':>7} {heads}"]
        for parameter in self.parameters:
            start = f"{parameter.name:<9} {parameter.shape!s:<12} {parameter.checked:>7}"
            errors = " ".join(f"{parameter.errors[name]:>{widths[name]}.1e}" for name in widths)
            lines.append(f"{start} {errors}  {'ok' if self._is_right(parameter) else 'wrong'}")
        allowed = " ".join(f"{self.tolerances[name]:>{widths[name]}.0e}" for name in widths)
        lines.append(f"{'allowed':<30} {allowed}")
        below = [*self.notes, self.advice] if self.advice else self.notes
        return "\n".join([*lines, *(fill(text, 80) for text in below)])

    def _is_right(self, parameter: ParameterCheck) -> bool:
        return all(parameter.errors[name] <= allowed for name, allowed in self.tolerances.items())


def check(
    gradient: np.ndarray,
    theta: np.ndarray,
    named_shapes: Sequence[tuple[str, tuple[int, ...]]],
    oracles: Sequence[Oracle],
    *,
    notes: tuple[str, ...] = (),
    most: int = 200,
) -> GradientCheck:
    """Compare ``gradient (P,)`` with what each oracle says of the derivative at ``theta (P,)``.

    Parameters
    ----------
    gradient
        What is claimed to be the derivative at ``theta``.
    theta
        Flat parameters, float64.
    named_shapes
        The names and shapes that lie one after the other in ``theta``.
    oracles
        From :mod:`chainrule.explain.oracles`. Where one says NaN, at a kink, no entry is compared.
    notes
        To print below the table.
    most
        The most entries to compare in each parameter, spread evenly.

    Examples
    --------
    >>> from chainrule.explain.oracles import Oracle, complex_step
    >>> oracle = Oracle("complex step", 1e-10, lambda t, places: complex_step(lambda u: u @ u, t, places))
    >>> theta = np.asarray([1.0, 3.0])
    >>> check(2 * theta, theta, [("W1", (2, 1))], [oracle]).passed
    True
    >>> print(check(2.02 * theta, theta, [("W1", (2, 1))], [oracle]))
    parameter shape        entries complex step
    W1        (2, 1)             2      9.9e-03  wrong
    allowed                               1e-10
    look at the derivative of layer 1's activation, or at the slope of the loss; it
    is 1.01 times what it should be
    """
    parameters, start = [], 0
    for name, shape in named_shapes:
        count = int(np.prod(shape))
        inside = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))
        places = start + inside
        said = np.array([oracle.slopes(theta, places) for oracle in oracles])  # (oracles, k)
        smooth = np.isfinite(said).all(axis=0)  # (k,)
        derived, said = gradient[places[smooth]], said[:, smooth]
        errors = {o.name: _error(derived, slopes) for o, slopes in zip(oracles, said, strict=True)}
        factor = _factor(derived, said[-1]) if len(said) else None
        parameters.append(ParameterCheck(name, shape, int(smooth.sum()), errors, factor))
        start += count
    return GradientCheck(tuple(parameters), {o.name: o.tolerance for o in oracles}, notes)


def _error(derived: np.ndarray, said: np.ndarray) -> float:
    size = max(np.abs(said).max(initial=0.0), np.abs(derived).max(initial=0.0))
    error = float(np.abs(said - derived).max(initial=0.0) / size) if size > 0 else 0.0
    return error if np.isfinite(error) else float("inf")


def _factor(derived: np.ndarray, said: np.ndarray) -> float | None:
    """Return the number that the oracle's slopes must be multiplied by, where one number does."""
    size = float(said @ said)
    if size == 0.0 or not np.isfinite(derived).all():
        return None
    factor = float(derived @ said) / size
    return factor if _error(derived, factor * said) < 1e-5 else None
