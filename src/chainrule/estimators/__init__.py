"""Estimators: networks for users of scikit-learn (extra ``sklearn``).

``MLPClassifier`` and ``MLPRegressor`` have the names, parameters and attributes of scikit-learn's own estimators, and can
replace them in a ``Pipeline``, a ``GridSearchCV`` or a ``cross_val_score``. They train a :class:`chainrule.NeuralNetwork`
on any backend.
"""

from chainrule._version import how_to_install

try:
    import sklearn  # noqa: F401  imported first, for an error of one line
except ImportError:
    _MISSING = f"estimators need scikit-learn; {how_to_install('sklearn')}"
    raise ImportError(_MISSING) from None

from chainrule.estimators.classifier import MLPClassifier
from chainrule.estimators.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
