"""Facts: what a network must know of the table it learnt from, to be used on another one."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from chainrule.data.samples import Label, Samples, Task
from chainrule.data.scaling import Scaler
from chainrule.data.tables import Table, column, numbers

_KEY = "table"  # in the metadata of the network


class Facts(NamedTuple):
    """The columns, their scale, and what the outputs mean; saved with the model."""

    task: Task
    target: str
    features: list[str]
    labels: Sequence[Label]  # sorted; empty for regression
    scaler: Scaler  # of the features
    target_scaler: Scaler | None  # of the target, for regression

    @classmethod
    def fit(cls, samples: Samples, target: str, rows: np.ndarray) -> Self:
        """Return the facts of ``rows`` of the samples: the held-out rows must not tell their scale."""
        scaler = Scaler.fit(samples.X[rows])
        of_target = None if samples.labels else Scaler.fit(samples.y[rows, None])
        return cls(samples.task, target, samples.features, samples.labels, scaler, of_target)

    def inputs(self, table: Table) -> np.ndarray:
        """Return the features of a table, by name and in the order learnt, scaled: ``(n, d)``."""
        return self.scaler.apply(numbers(table, self.features, "a feature that the model takes"))

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Return what the network is to give: classes ``(n,)``, or scaled values ``(n, 1)``."""
        return y if self.target_scaler is None else self.target_scaler.apply(y[:, None])

    def truth(self, table: Table) -> np.ndarray:
        """Return what the network is to give for the rows of a table: as :meth:`targets`.

        Raises
        ------
        ValueError
            If the table lacks the column, or it holds a label that the network does not know.
        """
        given = column(table, self.target, "the target")
        if not self.labels:
            return self.targets(numbers({self.target: given}, [self.target], "the target")[:, 0])
        places = {label: place for place, label in enumerate(self.labels)}
        for row, label in enumerate(given.tolist()):
            if label not in places:
                known = ", ".join(map(str, self.labels))
                msg = (
                    f"row {row + 1} has {self.target} {label!r}, which the model does not know ({known})"
                )
                raise ValueError(msg)
        return np.array([places[label] for label in given.tolist()])

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """Return the network's outputs ``(n, 1)`` in the units of the target: ``(n,)``."""
        assert self.target_scaler is not None  # noqa: S101  only regression has values
        return self.target_scaler.undo(outputs.astype(np.float64))[:, 0]

    def store(self, metadata: dict[str, Any]) -> None:
        """Put the facts into a network's metadata, as JSON knows them."""
        scalers = {"scaler": self.scaler.to_dict()}
        if self.target_scaler is not None:
            scalers["target_scaler"] = self.target_scaler.to_dict()
        metadata[_KEY] = self._asdict() | {"target_scaler": None} | scalers

    @classmethod
    def of(cls, metadata: dict[str, Any]) -> Self:
        """Return the facts that :meth:`store` put there.

        Raises
        ------
        ValueError
            If the network was not trained on a table.
        """
        if _KEY not in metadata:
            msg = "the model was not made by chainrule train: it has no column names; load it in Python"
            raise ValueError(msg)
        record = dict(metadata[_KEY])
        scaler, of_target = record.pop("scaler"), record.pop("target_scaler")
        return cls(
            **record,
            scaler=Scaler.from_dict(scaler),
            target_scaler=None if of_target is None else Scaler.from_dict(of_target),
        )
