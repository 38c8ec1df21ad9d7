"""The classifier: two or more classes, or several labels for each row."""

from typing import Any, ClassVar, Self

import array_api_compat
import numpy as np
from sklearn import neural_network
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from chainrule.data.inputs import host, is_device_array
from chainrule.estimators.hyperparameters import constructor
from chainrule.estimators.perceptron import Perceptron, stochastic
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch


class MLPClassifier(ClassifierMixin, Perceptron):  # type: ignore[misc]  # scikit-learn's classes are Any here
    """A dense network for classification, as a scikit-learn estimator.

    Labels may be numbers or strings. Three or more classes have one output each, and the loss is the cross entropy;
    two classes share one output, and the loss is the binary cross entropy. If y is ``(n, k)`` of 0 and 1, each column
    is a separate label, and the losses of the labels are summed.

    {parameters}
    class_weight
        Weights of the classes, multiplied with ``sample_weight``: a dict by label, "balanced" (inversely proportional
        to the frequency of each class; not for ``partial_fit``), or ``None``. For several labels, a list of dicts.
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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    __init__ = constructor(neural_network.MLPClassifier, class_weight=None)

    @stochastic  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one epoch on ``X (n, n_features)`` and ``y``, starting from the current weights.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.
        classes
            All labels of all calls; required in the first call.

        Returns
        -------
        MLPClassifier
            The estimator itself.

        Raises
        ------
        ValueError, TypeError
            As :meth:`fit`; with ``early_stopping=True`` or ``class_weight="balanced"``; or if the first call lacks
            ``classes``.
        AttributeError
            With ``solver="lbfgs"``.
        """
        problem = "partial_fit does not support class_weight='balanced', since it sees some rows only; give a dict"
        require(self.class_weight != "balanced", problem)
        is_first = not hasattr(self, "network_")
        problem = "the first call of partial_fit needs classes=, all labels of all calls"
        require(not is_first or classes is not None, problem)
        if not is_first and classes is not None:
            labels, own = np.unique(classes).tolist(), self.classes_.tolist()
            problem = f"classes are {labels}, but were {own} in the first call; give those or none"
            require(labels == own, problem)
        self._learn(X, y, sample_weight, classes)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, or of each label.

        Parameters
        ----------
        X : array or sparse matrix
            ``(n, n_features)``: the rows.

        Returns
        -------
        Array
            ``(n, n_classes)``.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        Z = self._logits(X, "predict_proba")  # (n, n_classes)
        return self.network_.architecture.loss.link(Z)  # (n, n_classes)

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of :meth:`predict_proba`, finite even if a probability rounds to 0.

        Parameters
        ----------
        X : array or sparse matrix
            ``(n, n_features)``: the rows.

        Returns
        -------
        Array
            ``(n, n_classes)``.

        Raises
        ------
        sklearn.exceptions.NotFittedError, ValueError, TypeError
            As :meth:`predict`.
        """
        Z = self._logits(X, "predict_log_proba")  # (n, n_classes)
        xp, loss = namespace(Z), self.network_.architecture.loss
        if loss.name != "cross_entropy":
            return -loss.error(Z, xp.ones_like(Z))  # (n, n_classes)
        S = Z - xp.max(Z, axis=1, keepdims=True)  # (n, n_classes)
        return S - xp.log(xp.sum(xp.exp(S), axis=1, keepdims=True))  # (n, n_classes)

    def _logits(self, X: Any, method: str) -> Array:
        """Return a logit for each class or label ``(n, n_classes)``; for two classes, ``-Z`` and ``Z``."""
        Z = self._predicted(X, method, logits=True)  # (n, n_outputs)
        if self.n_outputs_ > 1:
            return Z
        return namespace(Z).concat([-Z, Z], axis=1)[:, : len(self.classes_)]  # (n, n_classes)

    def _decoded(self, P: Array) -> Any:
        """Return the labels of probabilities ``(n, n_outputs)``; on a device, labels that are numbers stay there."""
        xp = namespace(P)
        if self._loss == "multilabel_cross_entropy":
            return xp.astype(P > 0.5, xp.int64)  # (n, k)
        if P.shape[1] > 1:
            places = xp.argmax(P, axis=1)  # (n,)
        else:
            places = xp.astype((P[:, 0] > 0.5) & (len(self.classes_) > 1), xp.int64)  # (n,)
        if is_device_array(P) and self.classes_.dtype.kind in "biuf":
            classes = xp.asarray(self.classes_, device=array_api_compat.device(P))  # (n_classes,)
            return xp.take(classes, places, axis=0)  # (n,)
        return self.classes_[host(places)]  # (n,)

    def _samples(self, X: Any, y: Any, sample_weight: Any, *classes: Any, from_start: bool) -> Batch:
        X, y = self._checked(X, y=host(y), multi_output=True, reset=from_start)
        check_classification_targets(y)
        several = y.ndim == 2 and y.shape[1] > 1
        y = y if several else column_or_1d(y, warn=True)
        labels = unique_labels(y) if several or from_start else np.unique(y)
        if from_start:
            self.classes_ = unique_labels(classes[0]) if classes and not several else labels
            of_one_output = "multilabel_cross_entropy" if several else "binary_cross_entropy"
            self._loss = of_one_output if several or len(self.classes_) <= 2 else "cross_entropy"
        is_whole = not classes  # only partial_fit has classes
        lacks = is_whole and len(labels) < len(self.classes_)
        problem = f"y holds the labels {labels.tolist()}, but the classes are {self.classes_.tolist()}"
        remedy = "; warm_start needs the same classes in each fit" if is_whole else ""
        require(np.isin(labels, self.classes_).all() and not lacks, problem + remedy)
        weights = self._weights(sample_weight, X)
        if self.class_weight is not None:
            of_classes = self._class_weights(y)  # (n,)
            weights = of_classes if weights is None else of_classes * weights  # (n,)
        if not several:
            places, count = np.searchsorted(self.classes_, y), len(self.classes_)  # (n,)
            y = np.eye(count)[places] if count > 2 else places[:, None].astype(np.float64)
        return Batch(X, y, weights)  # y (n, n_outputs)

    def _class_weights(self, y: Any) -> np.ndarray:
        """Return for each row the weight of its class, or the product of the weights of its labels ``(n,)``."""
        if self._loss == "multilabel_cross_entropy":
            weights: np.ndarray = compute_sample_weight(self.class_weight, y)  # (n,)
        else:
            of_class = compute_class_weight(self.class_weight, classes=self.classes_, y=y)  # (k,)
            weights = of_class[np.searchsorted(self.classes_, y)]  # (n,)
        return weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
