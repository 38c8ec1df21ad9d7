"""The regressor: quantities, one or several."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

from chainrule.estimators import settings
from chainrule.estimators.perceptron import FLOATS, Perceptron
from chainrule.mathematics.step import Batch


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]  # scikit-learn's classes are Any here
    """A dense network that learns quantities, as an estimator of scikit-learn.

    It makes half the squared error of a row small, the mean over rows. ``loss_curve_`` is the mean over outputs
    as well, as in scikit-learn.

    {parameters}

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> y = X[:, 0] ** 2
    >>> model = MLPRegressor((20,), learning_rate_init=0.01, tol=1e-6, max_iter=1000, random_state=0)
    >>> round(model.fit(X, y).score(X, y), 2)
    1.0
    """

    _loss = "half_squared_error"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go over ``X (n, n_features)`` and ``y`` once, from the weights that are there.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As :meth:`fit`; and if ``early_stopping`` is set, which has no meaning here.
        """
        return self._pass(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Return the quantities: ``(n,)``, or ``(n, n_outputs)`` where there are several.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If nothing has been learnt yet.
        ValueError, TypeError
            If X is not as it was in training.
        """
        A = self._outputs(X)  # (n, n_outputs)
        return A[:, 0] if self.n_outputs_ == 1 else A

    def _samples(self, X: Any, y: Any, sample_weight: Any, afresh: bool) -> Batch:
        X, y = validate_data(
            self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True, reset=afresh
        )  # (n, n_features); (n,) or (n, n_outputs)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)  # (n,)
        return Batch(X, y.reshape(len(X), -1), settings.weights(sample_weight))

    def _strata(self, _Y: np.ndarray) -> None:
        return None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
