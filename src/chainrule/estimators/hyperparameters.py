"""Hyperparameters: the parameters of both estimators, their allowed values, and the attributes after fitting."""

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

# The parameters that scikit-learn's estimators lack, and their defaults.
_OURS: dict[str, Any] = {"initializer": "glorot_uniform", "dropout": 0.0}
_OURS |= dict.fromkeys(("clip_norm", "backend", "dtype", "threads"))


def constructor(theirs: type, **more: Any) -> Callable[..., None]:
    """Return an ``__init__`` with the parameters of scikit-learn's estimator, in its order, then ours.

    ``more`` are further parameters and their defaults. ``get_params`` and ``help`` read the signature.
    """
    of_theirs = signature(theirs.__init__)  # type: ignore[misc]
    named = (_OURS | more).items()
    of_ours = [Parameter(name, Parameter.KEYWORD_ONLY, default=value) for name, value in named]
    both = of_theirs.replace(parameters=[*of_theirs.parameters.values(), *of_ours])

    def __init__(*positional: Any, **named: Any) -> None:  # noqa: N807
        bound = both.bind(*positional, **named)
        bound.apply_defaults()
        (_, self), *parameters = bound.arguments.items()
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
        "adam", "sgd", "lbfgs" (SciPy's L-BFGS-B on all rows), or an ``Optimizer``.
    alpha
        The strength of the penalty: a step minimizes ``(sum w loss + alpha/2 sum W²) / sum w``, summed over
        the rows of its batch and their weights w (1 by default). As in scikit-learn, but ``sum w`` is the mean
        over all full batches, so that a ragged last one is penalised as the others are.
    batch_size
        Rows in a step; "auto" is 200, or all rows if there are fewer. A batch of all rows keeps their order.
    learning_rate
        For "sgd": "constant"; "invscaling", the rate divided by ``(rows seen + 1) ** power_t`` after each epoch;
        "adaptive", divided by 5 when training would stop, until it is 1e-6.
    learning_rate_init
        The rate, or a schedule from :mod:`chainrule.mathematics.schedules`.
    power_t
        The exponent of "invscaling".
    max_iter
        The most epochs, or iterations of "lbfgs".
    shuffle
        Whether to draw batches in a new order in each epoch.
    random_state
        An int is the ``seed`` of the network: the same seed gives the same start, batches and dropout masks on
        every backend. ``None`` and a ``RandomState`` draw a seed in each ``fit``.
    tol, n_iter_no_change
        Training stops when the loss has not fallen by ``tol``, or the score has not risen by it, for more than
        ``n_iter_no_change`` epochs in a row. "lbfgs" stops when no entry of the gradient is above ``tol``.
    verbose
        Whether to print the loss of each epoch, and the score of the held-out rows.
    warm_start
        Whether ``fit`` continues from the weights of the last ``fit``.
    momentum, nesterovs_momentum
        For "sgd": the share of the last step that the next one keeps, and whether it looks ahead.
    early_stopping, validation_fraction
        ``True`` holds out a share of the rows (the same share of each class), stops by their score (accuracy, R²),
        and restores the weights of the best one. Not for "lbfgs".
    beta_1, beta_2, epsilon
        For "adam".
    max_fun
        For "lbfgs": the most evaluations of the loss.
    initializer
        As in :class:`chainrule.NeuralNetwork`; biases start at 0. scikit-learn also draws weights from
        "glorot_uniform", except for "logistic", and draws biases as well.
    dropout, clip_norm, backend, dtype
        As in :class:`chainrule.NeuralNetwork`, the backend by its name or as a ``Backend``. By default, ``dtype`` is
        float32 if X is. "lbfgs" takes neither dropout nor clip_norm.
    threads
        As in :meth:`chainrule.NeuralNetwork.train`.

    Attributes
    ----------
    network_
        The :class:`chainrule.NeuralNetwork`, for saving, pictures and explanations.
    history_
        The :class:`chainrule.training.history.History` of the last call of ``fit`` or ``partial_fit``: losses
        without the penalty, and with early stopping those of the held-out rows.
    loss_curve_, loss_, best_loss_
        The loss of each epoch, with the penalty; the last one; the lowest one, ``None`` with early stopping.
    validation_scores_, best_validation_score_
        With early stopping, the score of the held-out rows after each epoch, and the best; else ``None``.
    n_iter_, t_
        The epochs of the last call; the number of rows that "adam" or "sgd" has trained on since the first call.
    coefs_, intercepts_
        The weights ``(n_in, n_out)`` and biases ``(n_out,)`` of each layer, on the host; can be assigned.
    n_layers_, out_activation_
        The number of layers with input and output; "softmax", "logistic", "identity" or "exp".
    n_features_in_, feature_names_in_, n_outputs_
        The features and outputs of the data.
    """

    # The constraints of scikit-learn's parameters, then of chainrule's.
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **neural_network.MLPClassifier._parameter_constraints,
        "activation": [StrOptions({"logistic", *ACTIVATIONS}), Activation, list, tuple],
        "solver": [StrOptions({"adam", "lbfgs", "sgd"}), Optimizer],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither"), callable],
        "initializer": [StrOptions(set(INITIALIZERS)), callable, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "backend": "no_validation",  # NeuralNetwork raises better errors
        "dtype": "no_validation",
        "threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Both estimators share this documentation.
        common = cleandoc(Parameters.__doc__ or "").partition("\n\n")[2]
        cls.__doc__ = cleandoc(cls.__doc__ or "").replace("{parameters}", common)
