"""Stopping: when an estimator has learnt what there is to learn."""

from math import inf

from chainrule.training.history import Record


class Plateau:
    """A callback of training that ends it once the loss falls no more.

    It is at rest once it has not fallen by ``tol`` for more than ``patience`` epochs: the loss of the held-out
    rows where there are any. An epoch whose loss is above the lowest so far less ``tol`` is counted, any other
    starts the count anew, as in scikit-learn.

    Examples
    --------
    >>> stop = Plateau(tol=0.1, patience=1)
    >>> losses = [1.0, 0.5, 0.45, 0.44]
    >>> [stop(Record(i, loss, None, None, 0.1, 0.0)) for i, loss in enumerate(losses)]
    [False, False, False, True]
    """

    def __init__(self, tol: float, patience: float) -> None:
        self.reached = False
        self._tol, self._patience = tol, patience
        self._lowest, self._epochs = inf, 0

    def __call__(self, record: Record) -> bool:
        """Return whether training is to end with this epoch."""
        loss = record.loss if record.validation_loss is None else record.validation_loss
        self._epochs = self._epochs + 1 if loss > self._lowest - self._tol else 0
        self._lowest = min(self._lowest, loss)
        self.reached = self._epochs > self._patience
        return self.reached
