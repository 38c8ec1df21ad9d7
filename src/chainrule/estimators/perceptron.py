"""The perceptron: what the classifier and the regressor do alike, by handing it to a ``NeuralNetwork``."""

import warnings
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import check_is_fitted, validate_data

from chainrule.estimators import settings
from chainrule.estimators.hyperparameters import Parameters
from chainrule.estimators.stopping import Plateau
from chainrule.mathematics.checks import FRACTION, at_least, check_number
from chainrule.mathematics.step import Batch

FLOATS = (np.float64, np.float32)  # what X may be; other numbers become the first


class Perceptron(Parameters):
    """A dense network as an estimator."""

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer, ``(n_in, n_out)``, on the host."""
        return [self.network_.backend.to_numpy(layer.W) for layer in self.network_.layers]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer, ``(n_out,)``, on the host."""
        return [self.network_.backend.to_numpy(layer.b)[0] for layer in self.network_.layers]

    @property
    def loss_(self) -> float:
        """The loss of the last epoch, without the penalty."""
        return self.loss_curve_[-1]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from ``X (n, n_features)`` and ``y``, each row weighted by ``sample_weight (n,)``.

        A row of weight 2 counts as two rows.

        Raises
        ------
        ValueError, TypeError
            If the data or a parameter are not what is said here.
        FloatingPointError
            If the loss stops being finite.
        """
        epochs = at_least(1, "max_iter", self.max_iter)
        stop = Plateau(*settings.patience(self))
        afresh = not (self.warm_start and hasattr(self, "network_"))
        data = self._samples(X, y, sample_weight, afresh)
        data, held_out = self._split(data) if self.early_stopping else (data, None)
        self._learn(data, held_out, afresh, epochs, [stop])
        if not stop.reached and self.n_iter_ == epochs:
            msg = f"the loss had not come to rest after max_iter={epochs}; give more, or a larger tol"
            warnings.warn(msg, ConvergenceWarning, stacklevel=2)
        elif not stop.reached:
            warnings.warn(f"training was interrupted after {self.n_iter_} epochs", stacklevel=2)
        return self

    def _pass(self, X: Any, y: Any, sample_weight: Any, *classes: Any) -> Self:
        """Go over the rows once."""
        if self.early_stopping:
            msg = "partial_fit goes over the rows once, so early_stopping=True has no meaning; set it to False"
            raise ValueError(msg)
        afresh = not hasattr(self, "network_")
        self._learn(self._samples(X, y, sample_weight, afresh, *classes), None, afresh, 1, [])
        return self

    def _learn(
        self, data: Batch, held_out: Batch | None, afresh: bool, epochs: int, stop: list[Plateau]
    ) -> None:
        """Train a new network, or the one that is there, and keep what came of it."""
        if afresh:
            network = settings.network(self, data, self._loss)
        else:
            network = settings.gone_on(self.network_, self, data, self._loss)
        rows, unit = settings.batch_rows(self, len(data.X)), settings.mean_weight(data)
        X, Y, weights = settings.weighed(data, unit)
        self.history_ = network.train(
            X,
            Y,
            epochs,
            self.learning_rate_init,
            batch_size=None if rows == len(X) else rows,
            optimizer=settings.solver(self),
            sample_weight=weights,
            validation_data=None if held_out is None else settings.weighed(held_out, unit),
            # To be given the best weights back: what stops is the plateau.
            early_stopping=None if held_out is None else epochs,
            callbacks=stop,
            progress=bool(self.verbose),
            threads=self.threads,
            # A warm start keeps the weights, and not how the optimizer moved them.
            resume=afresh or not stop,
        )
        self.network_, self.n_iter_, self.n_outputs_ = network, len(self.history_), Y.shape[1]
        self.loss_curve_ = ([] if afresh else self.loss_curve_) + self.history_["loss"]

    def _split(self, data: Batch) -> tuple[Batch, Batch]:
        """Return the rows to learn from, and those to stop by."""
        check_number("validation_fraction", self.validation_fraction, FRACTION)
        parts = train_test_split(
            *(part for part in data if part is not None),
            test_size=self.validation_fraction,
            random_state=self.random_state,
            stratify=self._strata(data.Y),
        )
        return Batch(*parts[::2]), Batch(*parts[1::2])

    def _outputs(self, X: Any, *, logits: bool = False) -> np.ndarray:
        """Return what the network predicts ``(n, n_outputs)``, or its logits, on the host."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)  # (n, n_features)
        said: np.ndarray = self.network_.backend.to_numpy(
            self.network_.predict(X, logits=logits)
        )  # (n, n_outputs)
        return said
