"""The regressor: one or several quantities for each row."""

from typing import Any, ClassVar, Self

from sklearn import neural_network
from sklearn.base import RegressorMixin
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions

from chainrule.data.inputs import host
from chainrule.estimators.hyperparameters import constructor
from chainrule.estimators.perceptron import Perceptron, stochastic
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch


class MLPRegressor(RegressorMixin, Perceptron):  # type: ignore[misc]  # scikit-learn's classes are Any here
    """A dense network for regression, as a scikit-learn estimator.

    ``loss`` is "squared_error", half the squared error summed over outputs (``loss_curve_`` has the mean over outputs,
    as in scikit-learn); or "poisson", half the deviance of counts, with predictions that are exponentials of the outputs.

    {parameters}

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.estimators import MLPRegressor
    >>> X = np.linspace(-1, 1, 50)[:, None]
    >>> y = X[:, 0] ** 2
    >>> model = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", random_state=0).fit(X, y)
    >>> round(model.score(X, y), 2)
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    __init__ = constructor(neural_network.MLPRegressor)

    @stochastic  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one epoch on ``X (n, n_features)`` and ``y``, starting from the current weights.

        Returns
        -------
        MLPRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`; and with ``early_stopping=True``.
        AttributeError
            With ``solver="lbfgs"``.
        """
        self._learn(X, y, sample_weight)
        return self

    def _decoded(self, A: Array) -> Array:
        return A[:, 0] if self.n_outputs_ == 1 else A  # (n,) or (n, n_outputs)

    def _samples(self, X: Any, y: Any, sample_weight: Any, *, from_start: bool) -> Batch:
        checks = {"multi_output": True, "y_numeric": True, "reset": from_start}
        X, y = self._checked(X, y=host(y), **checks)  # (n, n_features); (n,) or (n, n_outputs)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)  # (n,)
        self._loss = "poisson" if self.loss == "poisson" else "half_squared_error"
        problem = f"y holds {y.min()}; loss='poisson' takes counts and other numbers of 0 or more"
        require(self.loss != "poisson" or y.min() >= 0, problem)
        return Batch(X, y.reshape(X.shape[0], -1), self._weights(sample_weight, X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
