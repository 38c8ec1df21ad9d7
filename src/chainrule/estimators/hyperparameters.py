"""Parameters: what an estimator is made with, in the words of scikit-learn, and what it has learnt afterwards."""

from collections.abc import Sequence
from inspect import cleandoc
from typing import Any

from sklearn.base import BaseEstimator

from chainrule.mathematics.activations import Activation
from chainrule.mathematics.initializers import Initializer
from chainrule.mathematics.optimizers import Optimizer
from chainrule.mathematics.schedules import Schedule
from chainrule.network import NeuralNetwork
from chainrule.training.history import History


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
        "adam", "sgd", or an ``Optimizer`` (with which an estimator cannot be pickled).
    alpha
        The strength of the penalty: a step makes ``(sum w loss + alpha/2 sum W²) / sum w`` small, summed over
        the rows of its batch and their weights w (1 unless given). As in scikit-learn, but ``sum w`` is the mean
        over all batches, so that a ragged last one is penalised as the others are.
    batch_size
        Rows a step, drawn in another order each epoch; "auto": 200, or all where there are fewer. A batch of
        all rows takes them as they lie.
    learning_rate_init
        The rate, which stays as it is; or a schedule from :mod:`chainrule.mathematics.schedules`.
    max_iter
        The most epochs.
    random_state
        An int is the ``seed`` of the network: equal ones give equal starts, batches and dropout masks on
        every backend. ``None`` and a ``RandomState`` draw one at each ``fit``.
    tol, n_iter_no_change
        Training stops once the loss has not fallen by ``tol`` for more than ``n_iter_no_change`` epochs: that
        of the epoch without the penalty, or that of the held-out rows.
    verbose
        ``True`` shows a bar on a terminal, and plain lines elsewhere.
    warm_start
        ``True``: ``fit`` goes on from the weights that it finds.
    momentum, nesterovs_momentum
        Of "sgd": how much of the last step the next one keeps, and whether it looks ahead.
    beta_1, beta_2, epsilon
        Of "adam".
    early_stopping, validation_fraction
        ``True`` holds out a share of the rows (of classes, the same share of each), stops by their loss, and
        restores the weights that had the lowest. scikit-learn goes by their score.
    initializer
        As of :class:`chainrule.NeuralNetwork`; biases start at 0. "glorot_uniform" is what scikit-learn draws
        from, but for "logistic".
    dropout, clip_norm, backend, dtype
        As of :class:`chainrule.NeuralNetwork`, the backend by its name or as a ``Backend``; unless given,
        ``dtype`` is float32 where X is.
    threads
        As of :meth:`chainrule.NeuralNetwork.train`.

    Attributes
    ----------
    network_
        The :class:`chainrule.NeuralNetwork`, to save, to draw, to explain.
    history_
        The :class:`chainrule.training.history.History` of the last call of ``fit`` or ``partial_fit``.
    loss_curve_, loss_
        The loss of each epoch, without the penalty, and the last.
    n_iter_
        The epochs of the last call.
    coefs_, intercepts_
        The weights ``(n_in, n_out)`` and biases ``(n_out,)`` of each layer, on the host.
    n_features_in_, feature_names_in_, n_outputs_
        What the data were.
    """

    network_: NeuralNetwork
    history_: History
    loss_curve_: list[float]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # What the two have in common is written once, and shown by help() of both.
        common = cleandoc(Parameters.__doc__ or "").partition("\n\n")[2]
        cls.__doc__ = cleandoc(cls.__doc__ or "").replace("{parameters}", common)

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str | Optimizer = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float | Schedule = 0.001,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        initializer: str | Initializer | None = "glorot_uniform",
        dropout: float = 0.0,
        clip_norm: float | None = None,
        backend: Any = None,
        dtype: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.initializer = initializer
        self.dropout = dropout
        self.clip_norm = clip_norm
        self.backend = backend
        self.dtype = dtype
        self.threads = threads
