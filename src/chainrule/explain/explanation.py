"""Explanation: one training step line by line, with its diagnosis, as text, HTML, LaTeX and JSON."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.backends import Backend
from chainrule.explain import html, nonfinite, notation, text
from chainrule.explain.diagnosis import Evidence, curve, diagnosed, loss_of_guess
from chainrule.explain.lines import Builder, Inputs
from chainrule.explain.records import Document, Line, Setting, jsonable
from chainrule.mathematics.naming import nearest
from chainrule.mathematics.step import TrainingStep, objective


@dataclass(frozen=True, repr=False)
class Explanation(Document):
    """One training step, factor by factor, in the order of the computation.

    Print it, show it in a notebook, or read it: ``explanation["dL_dW1"].array``.
    """

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __getitem__(self, name: str) -> Line:
        """Return the first line of that name, such as ``"dL_dW1"``."""
        lines = {line.name: line for line in reversed(self.lines)}
        if name not in lines:
            msg = f"the step has no {name!r}{nearest(name, list(lines))}"
            raise KeyError(msg)
        return lines[name]

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as a ``dict`` for JSON; NaN and infinity are strings ("nan", "inf").

        Returns
        -------
        dict
            Numbers, strings, lists and dicts.
        """
        return {
            **self.setting._asdict(),
            "loss": {"before": jsonable(self.loss_before), "after": jsonable(self.loss_after)},
            "lines": [line.to_dict() for line in self.lines],
            "updates": [update.to_dict() for update in self.updates],
            "flags": [flag._asdict() for flag in self.flags],
            "undecided": list(self.undecided),
        }

    def latex(self) -> str:
        """Return the formulas as one ``align*`` environment of LaTeX (amsmath), one on each line.

        Returns
        -------
        str
            The environment.
        """
        return notation.align(self.lines)

    def __str__(self) -> str:
        """Return the explanation as plain text, 80 columns wide."""
        return text.plain(self)

    def __repr__(self) -> str:
        """Return a summary on one line."""
        kinds = ", ".join(flag.kind for flag in self.flags) or "nothing wrong found"
        return f"Explanation({self.setting.network}, {len(self.lines)} lines, {kinds})"

    def __rich__(self) -> Any:
        return text.renderable(self)

    def _repr_html_(self) -> str:
        return html.page(self)


def explain(step: TrainingStep, inputs: Inputs, backend: Backend, *, every: bool = False) -> Explanation:
    r"""Return one training step, factor by factor.

    Parameters
    ----------
    step
        The network and the optimizer.
    inputs
        The progress, the batch, the learning rate and the dropout key: the arguments of the step.
    backend
        The backend of these arrays.
    every
        Whether each operation has its own line.

    Returns
    -------
    Explanation
        The lines, the updates and the flags.

    Examples
    --------
    >>> from chainrule import NeuralNetwork  # its method explain calls this function
    >>> print(NeuralNetwork(2, 4, 1, seed=1).explain([[0, 1], [1, 1]], [[1], [0]]).latex())
    \begin{align*}
      Z_{1} &= X \, W_{1} + b_{1} && (2 \times 2) \, (2 \times 4) \to (2 \times 4) \\
    ...
    """
    built = Builder(step, inputs, backend, every=every)
    lines, net = tuple(built.lines()), step.net
    progress, batch, learning_rate, key = inputs
    rate = float(backend.to_numpy(learning_rate))
    arrays = {line.name: line.array for line in lines}
    with backend.quiet():
        thetas = progress.theta, built.theta  # each (P,)
        losses = [objective(theta, batch, net, key) for theta in thetas]  # each ()
        before, after = (float(backend.to_numpy(L)) for L in losses)
    updates = tuple(built.updates(arrays))
    flags = tuple(nonfinite.flags(built.program, built.run, backend.to_numpy))
    undecided: tuple[str, ...] = ()
    if not flags:
        curves = tuple(curve(activation, backend) for activation in net.activations)
        guess = loss_of_guess(batch, net, backend)
        flags, undecided = diagnosed(Evidence(arrays, curves, updates, rate, before, after, guess))
    where = f"{backend.describe()}, {lines[0].array.dtype.name}"
    rows = int(batch.X.shape[-2])
    setting = Setting(str(net), net.loss.name, rows, step.optimizer.name, rate, where)
    return Explanation(setting, lines, updates, before, after, flags, undecided)
