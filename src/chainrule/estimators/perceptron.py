"""The perceptron: the common base class of the classifier and the regressor, around a ``NeuralNetwork``."""

import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing
from sklearn.utils._array_api import get_namespace
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from chainrule.data.inputs import host, is_device_array
from chainrule.estimators import lbfgs, settings, sparse
from chainrule.estimators.hyperparameters import Parameters
from chainrule.estimators.monitor import Monitor
from chainrule.estimators.sparse import SparseRows
from chainrule.estimators.stopping import Plateau
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.naming import refusing, require
from chainrule.mathematics.step import Batch

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks
    CallbackSupportMixin, with_callbacks = type("CallbackSupportMixin", (), {}), lambda method: method


def _takes_batches(model: "Perceptron") -> bool:
    problem = "partial_fit is only available for stochastic optimizers; lbfgs is not stochastic"
    require(model.solver != "lbfgs", problem, AttributeError)
    return True


stochastic = available_if(_takes_batches)


class Perceptron(CallbackSupportMixin, Parameters):  # type: ignore[misc]
    """A dense network as an estimator."""

    loss_curve_: list[float]
    validation_scores_: list[float] | None
    _plateau: Plateau  # decides when training stops, across warm starts and calls of partial_fit
    _loss: str  # the name of the network's loss
    _samples: Callable[..., Batch]  # X, y, sample_weight -> the rows as arrays
    _decoded: Callable[[Any], Any]  # (n, n_outputs) -> the return value of ``predict``

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, ``(n_in, n_out)``, on the host."""
        return [self.network_.backend.to_numpy(layer.W) for layer in self.network_.layers]

    @coefs_.setter
    def coefs_(self, arrays: list[Any]) -> None:
        for number, W in enumerate(arrays):
            self.network_.set_layer(number, W=W)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer, ``(n_out,)``, on the host."""
        return [self.network_.backend.to_numpy(layer.b)[0] for layer in self.network_.layers]

    @intercepts_.setter
    def intercepts_(self, arrays: list[Any]) -> None:
        for number, b in enumerate(arrays):
            self.network_.set_layer(number, b=np.reshape(b, (1, -1)))

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on ``X (n, n_features)`` and ``y``, each row weighted by ``sample_weight (n,)``.

        X may be sparse: some batches at a time are made dense. A row of weight 2 counts as two rows.

        Returns
        -------
        MLPClassifier or MLPRegressor
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If the data or a parameter are invalid, or the loss stops being finite.
        """
        was_ended, unfinished = self._learn(X, y, sample_weight, epochs=self.max_iter)
        if unfinished:
            msg = f"{unfinished}; increase max_iter or tol, or scale X"
            warnings.warn(msg, ConvergenceWarning, stacklevel=3)
        elif self.history_.interrupted and not was_ended:
            warnings.warn(f"training was interrupted after {self.n_iter_} epochs", stacklevel=3)
        return self

    def predict(self, X: Any) -> Array:
        """Return the most likely label, or the predicted quantities, of each row.

        Returns
        -------
        Array
            ``(n,)``; for several labels ``(n, k)`` of 0 and 1, for several quantities ``(n, n_outputs)``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        ValueError, TypeError
            If X does not have the features of training.
        """
        return self._decoded(self._predicted(X, "predict"))

    def _learn(self, *data: Any, epochs: int | None = None) -> tuple[bool, str]:
        """Train for ``epochs`` epochs, or continue for one.

        Returns
        -------
        tuple
            Whether the monitor ended training, and why it did not converge ("" if it did).
        """
        problem = "partial_fit does not support early_stopping=True, since it is one epoch"
        require(epochs is not None or not self.early_stopping, problem)
        self._validate_params()
        problem = "solver='lbfgs' takes neither dropout nor clip_norm; use 'adam' or 'sgd'"
        require(self.solver != "lbfgs" or not (self.dropout or self.clip_norm), problem)
        from_start = not (hasattr(self, "network_") and (self.warm_start or epochs is None))
        rows, held_out = self._samples(*data, from_start=from_start), None
        if self.early_stopping and self.solver != "lbfgs":
            rows, held_out = self._split(rows)
        if from_start:
            self.network_ = settings.network(self, rows, self._loss)
            self.loss_curve_, self.t_ = [], 0
        else:
            self.network_ = settings.continued(self.network_, self, rows, self._loss)
            if epochs is not None:  # only partial_fit continues with the optimizer's state
                self.network_._kept, self._plateau.factor = None, 1.0
        if from_start or (held_out is None) != (self.validation_scores_ is None):  # another criterion
            self._plateau, self.validation_scores_ = Plateau(), None if held_out is None else []
        self.n_iter_, self.n_outputs_ = 0, rows.Y.shape[1]
        self._on_device = is_device_array(rows.X)
        monitor = Monitor(self, rows, held_out, epochs)
        with refusing(FloatingPointError, "{}"):
            unfinished = self._train(rows, held_out, epochs, monitor)
        monitor.close()
        return monitor.has_ended, unfinished

    def _train(self, data: Batch, held_out: Batch | None, epochs: int | None, monitor: Monitor) -> str:
        """Train the network, and return the reason if it did not converge."""
        mean = settings.mean_weight(data)
        data = settings.weighed(data, mean)
        if self.solver == "lbfgs":
            options = {"maxiter": self.max_iter, "maxfun": self.max_fun, "gtol": self.tol}
            self.history_, unfinished = lbfgs.train(self.network_, data, monitor, **options)
            return unfinished
        n = data.X.shape[0]
        rows, rate = settings.batch_rows(self, n), settings.rates(self, n, goes_on=epochs is None)
        options = {"batch_size": None if rows == n else rows, "optimizer": settings.solver(self)}
        held_out = held_out and settings.weighed(held_out, mean)
        if issparse(data.X):
            data = Batch(SparseRows(self.network_, data, options["batch_size"]), None)
            held_out = held_out and Batch(SparseRows(self.network_, held_out, 1), None)
        X, Y, options["sample_weight"] = data
        options |= {"callbacks": [monitor], "validation_data": held_out}
        options |= {"shuffle": self.shuffle, "threads": self.threads, "resume": True}
        self.history_ = self.network_.train(X, Y, epochs or 1, rate, progress=False, **options)
        is_done = epochs is None or self.history_.interrupted
        return "" if is_done else f"the loss had not converged after max_iter={epochs}"

    def _split(self, data: Batch) -> tuple[Batch, Batch]:
        """Return the rows to train on, and those held out for early stopping: the same share of each class."""
        by_class = is_classifier(self) and self._loss != "multilabel_cross_entropy"
        options = {"test_size": self.validation_fraction, "random_state": self.random_state}
        options["stratify"] = self._decoded(data.Y) if by_class else None
        learnt, held_out = train_test_split(np.arange(data.X.shape[0]), **options)
        problem = "The validation set is too small: one row; increase validation_fraction or give more"
        require(len(held_out) > 1, problem)

        def rows(places: np.ndarray) -> Batch:
            return data.map(lambda part: _safe_indexing(part, places))

        return rows(learnt), rows(held_out)

    def _checked(self, X: Any, **options: Any) -> Any:
        """Return X, or X and y, after scikit-learn's checks: X of floats, dense, sparse or on a device."""
        xp, on_device = get_namespace(X)
        floats = (xp.float64, xp.float32) if on_device else (np.float64, np.float32)
        return validate_data(self, X, accept_sparse="csr", dtype=floats, **options)

    def _weights(self, sample_weight: Any, X: Any) -> np.ndarray | None:
        """Return the sample weights ``(n,)`` on the host; at least one must be above 0, and none below."""
        if sample_weight is None:
            return None
        rows = np.empty((X.shape[0], 0))
        weights: np.ndarray = _check_sample_weight(host(sample_weight), rows, dtype=np.float64)  # (n,)
        low, high = weights.min(), weights.max()
        problem = f"sample_weight is from {low} to {high}; give 0 or more, some above 0"
        require(low >= 0.0 and high > 0.0, problem)
        return weights

    def _predicted(self, X: Any, method: str, *, logits: bool = False) -> Array:
        """Return the outputs ``(n, n_outputs)`` for ``X (n, n_features)``, or their logits, on the device of X."""
        check_is_fitted(self)
        X = self._checked(X, reset=False)  # (n, n_features)
        is_apart = get_config()["array_api_dispatch"] and self._on_device and not is_device_array(X)
        inputs = f"Inputs passed to {type(self).__name__}.{method}() must use the same namespace and the same device"
        problem = f"{inputs} as those passed to fit(), {self.network_.backend.describe()}; move X there"
        require(not is_apart, problem)
        A = self._outputs(X, logits=logits)  # (n, n_outputs)
        return A if is_device_array(X) else self.network_.backend.to_numpy(A)

    def _outputs(self, X: Any, *, logits: bool = False) -> Array:
        """Return the outputs ``(n, n_outputs)`` for a checked X, on the device of the network."""
        if not issparse(X):
            return self.network_.predict(X, logits=logits)
        parts = (X[start:stop].toarray() for start, stop in sparse.parts(X))
        A = [self.network_.predict(part, logits=logits) for part in parts]  # each (rows, n_outputs)
        return self.network_.backend.xp.concat(A, axis=0)  # (n, n_outputs)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.array_api_support = True
        return tags
