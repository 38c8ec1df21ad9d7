"""Estimators: networks for users of scikit-learn (extra ``sklearn``).

``MLPClassifier`` and ``MLPRegressor`` bear the names, the parameters and the meanings of scikit-learn's own,
so that the one can stand where the other stood: in a ``Pipeline``, a ``GridSearchCV``, a ``cross_val_score``.
What trains is :class:`chainrule.NeuralNetwork`, on any backend.
"""

from chainrule._version import how_to_install

try:
    import sklearn  # noqa: F401  asked for first, to say in one line what is missing
except ImportError:
    _MISSING = f"estimators need scikit-learn; {how_to_install('sklearn')}"
    raise ImportError(_MISSING) from None

from chainrule.estimators.classifier import MLPClassifier
from chainrule.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
