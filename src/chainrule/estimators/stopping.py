"""Stopping: when an estimator stops training, or lowers its learning rate."""

from dataclasses import dataclass
from math import inf


@dataclass
class Plateau:
    """Counts the epochs in a row without progress, as scikit-learn does.

    An epoch makes progress if its value (a score, or the negative loss) is not below the best so far plus ``tol``.
    More than ``patience`` epochs without progress end training, or divide the learning rate by 5.

    Parameters
    ----------
    best
        The best value so far.
    epochs
        Epochs in a row without progress.
    factor
        The factor of the learning rate.

    Examples
    --------
    >>> plateau = Plateau()
    >>> [plateau.ends(score, tol=0.1, patience=1) for score in (0.5, 0.9, 0.95, 0.96)]
    [False, False, False, True]
    >>> plateau.best
    0.96
    """

    best: float = -inf
    epochs: int = 0
    factor: float = 1.0

    def ends(self, value: float, tol: float, patience: float, *, lowers_rate: bool = False) -> bool:
        """Return whether training ends after an epoch with this value.

        Parameters
        ----------
        value
            The score of the epoch, or its negative loss.
        tol, patience
            ``tol`` and ``n_iter_no_change`` of the estimator.
        lowers_rate
            Whether to lower the learning rate instead of ending.

        Returns
        -------
        bool
            Always ``False`` with ``lowers_rate``.
        """
        self.epochs = self.epochs + 1 if value < self.best + tol else 0
        self.best = max(self.best, value)
        if self.epochs <= patience:
            return False
        if lowers_rate:
            self.factor, self.epochs = self.factor / 5.0, 0
        return not lowers_rate
