"""Hyperparameters: the parameters of both estimators, their allowed values, and the fitted attributes."""

from collections.abc import Callable
from inspect import Parameter, cleandoc, signature
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn import neural_network
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from chainrule.mathematics.activations import ACTIVATIONS, Activation
from chainrule.mathematics.initializers import INITIALIZERS
from chainrule.mathematics.optimizers import Optimizer
from chainrule.network import NeuralNetwork
from chainrule.training.history import History

OURS = {  # the parameters that only this package has, and their defaults
    "initializer": "glorot_uniform",
    "dropout": 0.0,
    "clip_norm": None,
    "backend": None,
    "dtype": None,
    "threads": None,
}


def constructor(theirs: type, **more: Any) -> Callable[..., None]:
    """Return an ``__init__`` with the parameters of scikit-learn's estimator, in its order, then ours.

    ``more`` are further parameters and their defaults. ``get_params`` and ``help`` read them off the signature.
    """
    of_theirs = signature(theirs.__init__)  # type: ignore[misc]
    of_ours = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=value) for name, value in (OURS | more).items()
    ]
    both = of_theirs.replace(parameters=[*of_theirs.parameters.values(), *of_ours])

    def __init__(*positional: Any, **named: Any) -> None:  # noqa: N807
        given = both.bind(*positional, **named)
        given.apply_defaults()
        (_, self), *parameters = given.arguments.items()
        for name, value in parameters:
            setattr(self, name, value)

    __init__.__signature__ = both  # type: ignore[attr-defined]
    return __init__


class Parameters(BaseEstimator):  # type: ignore[misc]  # scikit-learn is optional, so its classes are Any here
    """The parameters of both estimators.

    Parameters
    ----------
    hidden_layer_sizes
        The widths of the hidden layers; ``()`` for none.
    activation
        "relu", "tanh", "logistic" (here also called "sigmoid"), "identity", and this package's others:
        "gelu", "softplus", an ``Activation``; or one for each hidden layer.
    solver
        "adam", "sgd", "lbfgs" (SciPy's L-BFGS-B on all rows), or an ``Optimizer`` (with which an estimator
        cannot be pickled).
    alpha
        The strength of the penalty: a step minimizes ``(sum w loss + alpha/2 sum W²) / sum w``, summed over
        the rows of its batch and their weights w (1 unless given). As in scikit-learn, but ``sum w`` is the mean
        over all full batches, so that a ragged last one is penalised as the others are.
    batch_size
        Rows a step; "auto": 200, or all where there are fewer. A batch of all rows takes them in their order.
    learning_rate
        Of "sgd": "constant"; "invscaling", the rate divided by ``(rows seen + 1) ** power_t`` after each epoch;
        "adaptive", divided by 5 where training would stop, until it is 1e-6.
    learning_rate_init
        The rate; or a schedule from :mod:`chainrule.mathematics.schedules`.
    power_t
        The exponent of "invscaling".
    max_iter
        The most epochs; the most iterations of "lbfgs".
    shuffle
        ``True`` draws batches in another order each epoch; ``False`` takes the rows in their order.
    random_state
        An int is the ``seed`` of the network: equal ones give equal starts, batches and dropout masks on
        every backend. ``None`` and a ``RandomState`` draw one at each ``fit``.
    tol, n_iter_no_change
        Training stops once the loss has not fallen by ``tol``, or the score not risen by it, for more than
        ``n_iter_no_change`` epochs in a row. "lbfgs" stops once no entry of the gradient is above ``tol``.
    verbose
        ``True`` prints the loss of each epoch, and the score of the held-out rows.
    warm_start
        ``True``: ``fit`` goes on from the weights of the last one.
    momentum, nesterovs_momentum
        Of "sgd": how much of the last step the next one keeps, and whether it looks ahead.
    early_stopping, validation_fraction
        ``True`` holds out a share of the rows (of classes, the same share of each), stops by their score
        (accuracy, R²), and restores the weights that had the best. Not for "lbfgs".
    beta_1, beta_2, epsilon
        Of "adam".
    max_fun
        Of "lbfgs": the most evaluations of the loss.
    initializer
        As of :class:`chainrule.NeuralNetwork`; biases start at 0. scikit-learn draws weights from
        "glorot_uniform" too, but for "logistic", and biases as well.
    dropout, clip_norm, backend, dtype
        As of :class:`chainrule.NeuralNetwork`, the backend by its name or as a ``Backend``; unless given,
        ``dtype`` is float32 where X is. "lbfgs" takes neither dropout nor clip_norm.
    threads
        As of :meth:`chainrule.NeuralNetwork.train`.

    Attributes
    ----------
    network_
        The :class:`chainrule.NeuralNetwork`, to save, to draw, to explain.
    history_
        The :class:`chainrule.training.history.History` of the last call of ``fit`` or ``partial_fit``: losses
        without the penalty, and with early stopping those of the held-out rows.
    loss_curve_, loss_, best_loss_
        The loss of each epoch, with the penalty; the last; the lowest, ``None`` with early stopping.
    validation_scores_, best_validation_score_
        With early stopping, the score of the held-out rows after each epoch, and the best; else ``None``.
    n_iter_, t_
        The epochs of the last call; the rows that "adam" or "sgd" has been trained on since the first.
    coefs_, intercepts_
        The weights ``(n_in, n_out)`` and biases ``(n_out,)`` of each layer, on the host; may be assigned.
    n_layers_, out_activation_
        The layers, input and output included; "softmax", "logistic", "identity" or "exp".
    n_features_in_, feature_names_in_, n_outputs_
        Of the data.
    """

    network_: NeuralNetwork
    history_: History
    loss_curve_: list[float]
    validation_scores_: list[float] | None

    # The constraints of scikit-learn's parameters, then of ours.
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **neural_network.MLPClassifier._parameter_constraints,
        "activation": [StrOptions({"logistic", *ACTIVATIONS}), Activation, list, tuple],
        "solver": [StrOptions({"adam", "lbfgs", "sgd"}), Optimizer],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), callable],
        "initializer": [StrOptions(set(INITIALIZERS)), callable, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "backend": "no_validation",  # the network's own errors say more
        "dtype": "no_validation",
        "threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # What the two have in common is written once, and shown by help() of both.
        common = cleandoc(Parameters.__doc__ or "").partition("\n\n")[2]
        cls.__doc__ = cleandoc(cls.__doc__ or "").replace("{parameters}", common)
