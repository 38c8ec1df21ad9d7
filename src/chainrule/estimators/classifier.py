"""The classifier: one class of two or of many, or several labels at a time."""

from typing import Any, Self

import numpy as np
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import validate_data

from chainrule.estimators import settings
from chainrule.estimators.perceptron import FLOATS, Perceptron
from chainrule.mathematics.step import Batch


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]  # scikit-learn's classes are Any here
    """A dense network that tells classes apart, as an estimator of scikit-learn.

    Labels may be numbers or strings. Of many classes each has an output, and the loss is the cross entropy;
    two share one output, and the binary cross entropy. Where y is ``(n, k)`` of 0 and 1, each column is a label
    of its own, and the loss is the mean over labels: scikit-learn adds them up, so that with "sgd" a rate of ours
    is as ``1/k`` of it there.

    {parameters}
    classes_
        The labels, in the order of the columns of :meth:`predict_proba`.

    Examples
    --------
    >>> from chainrule.estimators import MLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]] * 8, ["equal", "other", "other", "equal"] * 8
    >>> model = MLPClassifier((16,), learning_rate_init=0.05, max_iter=400, random_state=0).fit(X, y)
    >>> model.predict([[1, 0], [1, 1]])
    array(['other', 'equal'], dtype='<U5')
    """

    @property
    def _loss(self) -> str:
        return "cross_entropy" if self._labels.y_type_ == "multiclass" else "binary_cross_entropy"

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go over ``X (n, n_features)`` and ``y`` once, from the weights that are there.

        Parameters
        ----------
        X, y, sample_weight
            As of :meth:`fit`.
        classes
            All labels that will ever come; needed by the first call.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As :meth:`fit`; if ``early_stopping`` is set, which has no meaning here; or if the first call lacks
            ``classes``.
        """
        first = not hasattr(self, "network_")
        if first and classes is None:
            msg = "the first call of partial_fit needs classes=, all labels that will ever come"
            raise ValueError(msg)
        if not first and classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            msg = f"classes are {np.unique(classes).tolist()}, and were {self.classes_.tolist()}; leave them out"
            raise ValueError(msg)
        return self._pass(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely label of each row ``(n,)``, or ``(n, k)`` of 0 and 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If nothing has been learnt yet.
        ValueError, TypeError
            If X is not as it was in training.
        """
        P = self._outputs(X)  # (n, n_outputs)
        said: np.ndarray = self._labels.inverse_transform(P)
        return said

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, or of each label, ``(n, n_classes)``.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        Z = self._logits(X)  # (n, n_classes)
        probabilities: np.ndarray = self.network_.architecture.loss.link(Z)  # (n, n_classes)
        return probabilities

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of :meth:`predict_proba`, finite also where a probability rounds to 0.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        Z = self._logits(X)  # (n, n_classes)
        several = self._loss == "cross_entropy"
        logarithms: np.ndarray = log_softmax(Z, axis=1) if several else log_expit(Z)  # (n, n_classes)
        return logarithms

    def _logits(self, X: Any) -> np.ndarray:
        """Return a logit for each class or label ``(n, n_classes)``: of two classes, ``-Z`` and ``Z``."""
        Z = self._outputs(X, logits=True)  # (n, n_outputs)
        return np.hstack([-Z, Z]) if self.n_outputs_ == 1 else Z

    def _samples(self, X: Any, y: Any, sample_weight: Any, afresh: bool, classes: Any = None) -> Batch:
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True, reset=afresh)
        check_classification_targets(y)
        several = y.ndim == 2 and y.shape[1] > 1
        y = y if several else column_or_1d(y, warn=True)
        if afresh:
            self._labels = LabelBinarizer().fit(y if several or classes is None else classes)
            self.classes_ = self._labels.classes_
        self._check_labels(y)
        return Batch(X, self._labels.transform(y), settings.weights(sample_weight))

    def _check_labels(self, y: np.ndarray) -> None:
        if len(self.classes_) < 2:
            msg = f"y has one class, {self.classes_.tolist()[0]!r}; a classifier needs two or more"
            raise ValueError(msg)
        unknown = np.setdiff1d(unique_labels(y), self.classes_)
        if unknown.size:
            msg = f"y holds {unknown.tolist()[0]!r}, which is not among the classes {self.classes_.tolist()}; learn afresh"
            raise ValueError(msg)

    def _strata(self, Y: np.ndarray) -> np.ndarray | None:
        if self._labels.y_type_.startswith("multilabel"):
            return None
        strata: np.ndarray = self._labels.inverse_transform(Y)  # (n,)
        return strata

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
