"""scikit-learn: a call of ``partial_fit`` on all batches is a pass."""

from functools import partial
from typing import Any

from sklearn.neural_network import MLPClassifier, MLPRegressor

from chainrule.bench.cell_data import CellData
from chainrule.bench.contestant import Contestant, State

REASON = (
    "it draws its own start, its regressor's outputs are the identity and its loss is a mean: steps of the "
    "same products, not of the same numbers"
)


def partial_fit(data: CellData, _operation: str) -> Contestant:
    """Return a pass; it includes the checks of the data, which users cannot skip either.

    It takes the batches in their order: shuffling would be its own.
    """
    cell = data.cell
    common: dict[str, Any] = {
        "hidden_layer_sizes": cell.sizes[1:-1],
        "alpha": 0.0,
        "batch_size": cell.batch,
        "shuffle": False,
        "learning_rate_init": data.rate if cell.rule == "adam" else 1e-4,
        "random_state": 0,
    }
    if cell.rule == "adam":
        model = MLPClassifier(activation="relu", solver="adam", **common)
        y = data.labels  # (batches n,)
        model.partial_fit(data.X, y, classes=range(cell.sizes[-1]))
    else:
        plain = {"momentum": 0.0, "nesterovs_momentum": False}
        model = MLPRegressor(activation="logistic", solver="sgd", **plain, **common)
        y = data.Y[:, 0] if cell.sizes[-1] == 1 else data.Y  # 1-d: scikit-learn warns of a single column
    return Contestant(partial(model.partial_fit, data.X, y), data.steps, _state, exempt=REASON)


def _state(model: Any) -> State:
    return State(float(model.loss_), [])
