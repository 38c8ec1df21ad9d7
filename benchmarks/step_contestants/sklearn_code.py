"""scikit-learn: one call of ``partial_fit`` with all rows in one batch is one step."""

from functools import partial

from step_contestants.contestant import Contestant, State
from step_contestants.problem import Problem

REASON = (
    "it draws its own start, its regressor's outputs are the identity and its loss is a mean: a step "
    "of the same products, not of the same numbers"
)


def epoch(problem: Problem) -> Contestant:
    """Return ``partial_fit`` on all rows; checks of the data and labels are part of it, as for its users."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    cell = problem.cell
    common = {
        "hidden_layer_sizes": cell.sizes[1:-1],
        "alpha": 0.0,
        "batch_size": cell.batch,
        "shuffle": False,
        "learning_rate_init": problem.rate if cell.adam else 1e-4,
        "random_state": 0,
    }
    if cell.adam:
        model = MLPClassifier(activation="relu", solver="adam", **common)
        y = problem.labels  # (n,)
        model.partial_fit(problem.X, y, classes=range(cell.sizes[-1]))
    else:
        plain = {"momentum": 0.0, "nesterovs_momentum": False}
        model = MLPRegressor(activation="logistic", solver="sgd", **plain, **common)
        y = problem.Y[:, 0] if cell.sizes[-1] == 1 else problem.Y  # a column it would warn of
    return Contestant(partial(model.partial_fit, problem.X, y), _state, exempt=REASON)


def _state(model: object) -> State:
    return State(float(model.loss_), [])  # type: ignore[attr-defined]
