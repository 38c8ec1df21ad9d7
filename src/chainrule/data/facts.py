"""Facts: the columns, scales and labels of a table, which a network needs to predict from another table."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from chainrule.data.samples import MOST_CLASSES, Label, Samples, Task, class_labels
from chainrule.data.scaling import Scaler
from chainrule.data.streams import Stream
from chainrule.data.tables import Table, column, gaps, numbers
from chainrule.mathematics.naming import quoted, require
from chainrule.ranks.group import ALONE, Group

TABLE = "table"
"""The key of a network's metadata under which its facts are kept."""

_UNSCALED = Scaler(np.zeros(1), np.ones(1))


class Facts(NamedTuple):
    """The columns, their scale, and the meaning of the outputs; saved with the model as JSON."""

    task: Task
    target: str
    features: list[str]
    labels: list[Label]  # sorted; empty for regression
    scaler: Scaler  # for the features
    target_scaler: Scaler | None  # for the target; None: classes

    @classmethod
    def fit(cls, samples: Samples, target: str, rows: np.ndarray) -> Self:
        """Return the facts of some rows of the samples; held-out rows must not affect the scale.

        Parameters
        ----------
        samples : Samples
            The table.
        target : str
            The name of the target.
        rows : array
            ``(n,)``: the rows to train on.

        Returns
        -------
        Facts
            The facts, with the scale of these rows.
        """
        scaler = _scaler([samples.X[rows]], samples.features)
        of_target = None if samples.labels else _scaler([samples.y[rows, None]], [target])
        return cls(samples.task, target, samples.features, list(samples.labels), scaler, of_target)

    @classmethod
    def over(cls, stream: Stream, learnt: Stream, task: str | None, group: Group) -> Self:
        """Return the facts of a stream in one pass; each rank reads its own blocks, and all return the same facts.

        Parameters
        ----------
        stream, learnt : Stream
            All rows, whose labels count; and the rows to train on, whose scale counts.
        task : str, optional
            "classification" or "regression", if the target does not decide.
        group : Group
            The ranks that share the rows.

        Returns
        -------
        Facts
            The facts, with the scale of the rows in ``learnt``.

        Raises
        ------
        ValueError
            If a row has no target, or the targets are neither classes nor numbers.
        """
        target, distinct, training = str(stream.target), np.array([]), set(learnt.blocks)
        own = stream.shared(group)

        def columns() -> Iterator[np.ndarray]:
            nonlocal distinct
            for block, raw in zip(own.blocks, own.read_all(), strict=True):
                gap = gaps(raw.y)  # (n,)
                first = stream.where(block, int(gap.argmax()))
                require(not gap.any(), f"{first} has no value in {quoted(target)}; drop the row")
                is_number = raw.y.dtype.kind in "iuf"
                # Whole numbers with this many distinct values are quantities.
                if not is_number or task == "classification" or distinct.size <= MOST_CLASSES:
                    distinct = _joined([distinct, np.unique(raw.y)])
                if block in training:
                    yield np.column_stack([raw.X, raw.y]) if is_number else raw.X  # (n, d + 1) or (n, d)

        scaler = _scaler(columns(), [*stream.features, target], group)
        distinct = _joined(group.gather(distinct))  # (labels,)
        labels = class_labels(distinct, len(stream), target, task)
        d = len(stream.features)
        of_target = None if labels else Scaler(scaler.mean[d:], scaler.scale[d:])  # (1,)
        of_features = Scaler(scaler.mean[:d], scaler.scale[:d])  # (d,)
        kind: Task = "classification" if labels else "regression"
        return cls(kind, target, list(stream.features), labels, of_features, of_target)

    def applied(self, stream: Stream) -> Stream:
        """Return the stream with scaled features, and its target as :meth:`targets` returns it."""
        scaled = stream.standardized(self.scaler)
        scaled.places = lambda y: self.truth({self.target: y})
        return scaled

    def inputs(self, table: Table) -> np.ndarray:
        """Return the features of a table by name, in the order that the network takes, scaled: ``(n, d)``."""
        X = numbers(table, self.features, "a feature that the model takes")  # (n, d)
        return self.scaler.apply(X)  # (n, d)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Return the targets of the network: classes ``(n,)``, or scaled values ``(n, 1)``."""
        return y if self.target_scaler is None else self.target_scaler.apply(y[:, None])

    def truth(self, table: Table) -> np.ndarray:
        """Return the targets for the rows of a table, as :meth:`targets` returns them.

        Raises
        ------
        ValueError
            If the table does not have the column, or it contains a label that the network does not know.
        """
        given = column(table, self.target, "the target")
        if not self.labels:
            return self.targets(numbers({self.target: given}, [self.target], "the target")[:, 0])
        places: dict[Label, int] = {str(label): place for place, label in enumerate(self.labels)}
        places |= {label: place for place, label in enumerate(self.labels)}  # 1 is 1.0 too
        labels = [label if label in places else str(label) for label in given.tolist()]
        for row, label in enumerate(labels):
            if label not in places:
                known = ", ".join(map(str, self.labels))[:200]
                msg = f"row {row + 1} has {self.target} {quoted(label)}, which the model does not know ({known})"
                raise ValueError(msg)
        return np.array([places[label] for label in labels])

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the network's outputs ``(n, 1)`` in the units of the target: ``(n,)``."""
        assert self.target_scaler is not None  # noqa: S101  only regression has values
        return self.target_scaler.undo(outputs.astype(np.float64))[:, 0]

    def to_dict(self) -> dict[str, Any]:
        """Return the facts for JSON; :func:`chainrule.saving.schema.parsed` reads them."""
        of_target = None if self.target_scaler is None else self.target_scaler.to_dict()
        return self._asdict() | {"scaler": self.scaler.to_dict(), "target_scaler": of_target}

    def check(self, inputs: int, outputs: int, loss: str) -> None:
        """Raise ``ValueError`` if the facts do not match a network of this size and loss."""
        classes = outputs if self.task == "classification" else 0
        network = f"the network has {inputs} inputs, {outputs} outputs and the loss {quoted(loss)}"
        for kind, names, wanted in (
            ("features", self.features, inputs),
            ("labels", self.labels, classes),
        ):
            distinct = len(set(map(str, names)))
            require(len(names) == distinct == wanted, f"{distinct} {kind}, but {network}")
        for (mean, scale), size in [(self.scaler, inputs), (self.target_scaler or _UNSCALED, 1)]:
            problem = f"the scaler needs {size} means and {size} scales above 0, since {network}"
            require(mean.size == scale.size == size and np.all(scale > 0), problem)
        agree = bool(classes) == (loss == "cross_entropy") == (self.target_scaler is None)
        require(agree and (classes > 0 or outputs == 1), f"{self.task}, but {network}")


def _joined(values: Iterable[np.ndarray]) -> np.ndarray:
    """Return the sorted distinct values of some arrays."""
    some = [part for part in values if part.size]
    return np.unique(np.concatenate(some)) if some else np.array([])


def _scaler(blocks: Iterable[np.ndarray], names: Sequence[str], group: Group = ALONE) -> Scaler:
    """Return the scaler of the rows of all blocks ``(n, d)``; mean and deviation must fit float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaler = Scaler.over(blocks, group)
    for name, mean, scale in zip(names, *scaler, strict=False):
        problem = f"the values of {quoted(name)} are too large to average; divide them by their largest"
        require(bool(np.isfinite([mean, scale]).all()), problem)
    return scaler
