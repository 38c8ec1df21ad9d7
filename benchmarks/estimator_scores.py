"""Held-out scores of the estimators next to scikit-learn's, with equal settings: ``python benchmarks/estimator_scores.py``."""

import sys
import warnings

import numpy as np
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from chainrule import estimators

SEEDS = range(10)
DATA = {
    "digits": "Classifier",
    "breast_cancer": "Classifier",
    "wine": "Classifier",
    "diabetes": "Regressor",
}
VARIANTS = {"adam": {}, "early stopping": {"early_stopping": True}, "L-BFGS": {"solver": "lbfgs"}}


def scores(library, name, settings):
    """Return the score of each seed: accuracy, or R², on a quarter of the rows."""
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    kind = DATA[name]
    y = y if kind == "Classifier" else (y - y.mean()) / y.std()
    found = []
    for seed in SEEDS:
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
        given = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.005, "max_iter": 100, **settings}
        model = getattr(library, f"MLP{kind}")(**given, alpha=0.1, random_state=seed)
        pipeline = make_pipeline(StandardScaler(), model).fit(X_train, y_train)
        found.append(pipeline.score(X_test, y_test))
    return np.array(found)


if __name__ == "__main__":
    warnings.simplefilter("ignore", ConvergenceWarning)
    lines = ["| data | | scikit-learn | chainrule | difference |", "|---|---|---|---|---|"]
    for name in DATA:
        for variant, settings in VARIANTS.items():
            theirs, mine = (scores(library, name, settings) for library in (neural_network, estimators))
            difference = mine - theirs
            error = difference.std(ddof=1) / len(SEEDS) ** 0.5
            figures = f"{theirs.mean():.3f} | {mine.mean():.3f} | {difference.mean():+.3f} ± {error:.3f}"
            lines.append(f"| {name} | {variant} | {figures} |")
    sys.stdout.write("\n".join(lines) + "\n")
