"""The monitor: what happens after each epoch of an estimator's ``fit`` or ``partial_fit``."""

from contextlib import suppress
from copy import deepcopy
from math import ceil, nan
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.metrics import accuracy_score, r2_score

from chainrule.estimators import settings
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.step import Batch
from chainrule.ranks import join
from chainrule.ranks.group import ALONE
from chainrule.training.history import Record

OUT_ACTIVATIONS = {"cross_entropy": "softmax", "poisson": "exp", "half_squared_error": "identity"}


class Monitor:
    """A callback of training: records loss and score, keeps the best weights, prints, and ends training.

    Parameters
    ----------
    model
        The estimator; its ``network_`` is what trains.
    data, held_out
        The rows to train on, and the rows to score, if any.
    epochs
        The most epochs; ``None`` for ``partial_fit``, which does not call scikit-learn's callbacks.
    """

    # Each rank keeps the best weights; rank 0 alone prints and calls scikit-learn's callbacks.
    on_all_ranks = True

    def __init__(self, model: Any, data: Batch, held_out: Batch | None, epochs: int | None) -> None:
        self._model, self._data, self._held_out, self._epochs = model, data, held_out, epochs
        self._penalty = self._penalty_now()
        self._best_layers: Any = None
        self._best_epoch: int | None = None
        self.has_ended = False
        self._context: Any = None
        self._task: Any = None
        self._group = ALONE if model.solver == "lbfgs" else join()  # the ranks run L-BFGS separately
        if epochs is not None and self._group.rank == 0 and hasattr(model, "_init_callback_context"):
            self._context = model._init_callback_context(max_subtasks=epochs)
            self._hook("begin", self._context)
            self._begin_task()

    def __call__(self, record: Record) -> bool:
        """Return whether training ends with this epoch."""
        model, rows = self._model, self._data.X.shape[0]
        model.n_iter_ += 1
        before, self._penalty = self._penalty, self._penalty_now()
        penalty, is_stochastic = self._penalty, model.solver != "lbfgs"
        if is_stochastic:
            model.t_ += rows
            # Over minibatches, use the mean of the penalties of the first and the last weights.
            in_one_batch = settings.batch_rows(model, rows) == rows
            penalty = before if in_one_batch else 0.5 * (before + penalty)
        model.loss_curve_.append(record.loss + penalty)
        self._say(f"Iteration {model.n_iter_}, loss = {model.loss_curve_[-1]:.8f}")
        self.has_ended = is_stochastic and self._ends(record)
        if self._task is not None:
            self.has_ended |= self._hook("end", self._task, reconstruction_attributes=self._fitted)
            self._task = None
            if not self.has_ended and model.n_iter_ < self._epochs:
                self._begin_task()
        self.has_ended = self._group.broadcast(self.has_ended)
        return self.has_ended

    def close(self) -> None:
        """Set the attributes of the estimator, and with a score the best weights."""
        model, net = self._model, self._model.network_.architecture
        for number, layer in enumerate(self._best_layers or ()):
            model.network_.set_layer(number, W=layer.W, b=layer.b)
        model.history_.best_epoch = self._best_epoch
        scored = self._held_out is not None
        model.loss_ = model.loss_curve_[-1] if model.loss_curve_ else nan
        model.best_loss_ = None if scored else min(model.loss_curve_, default=nan)
        model.best_validation_score_ = model._plateau.best if scored else None
        model.n_layers_ = net.depth + 1
        model.out_activation_ = OUT_ACTIVATIONS.get(net.loss.name, "logistic")
        if self._task is not None:  # the task of an epoch that never ran
            self._task.call_on_fit_task_end(estimator=model)
        if self._context is not None:
            self._hook("end", self._context, reconstruction_attributes=self._fitted)

    def _ends(self, record: Record) -> bool:
        model, plateau = self._model, self._model._plateau
        value, what = -model.loss_curve_[-1], "Training loss"
        if self._held_out is not None:
            value, what = self._score(self._held_out), "Validation score"
            self._say(f"Validation score: {value:f}")
            model.validation_scores_.append(value)
            if self._best_layers is None or value > plateau.best:
                self._best_layers, self._best_epoch = model.network_.layers, record.epoch
        is_adaptive = model.solver == "sgd" and model.learning_rate == "adaptive"
        lowers_rate = is_adaptive and record.learning_rate > 1e-6
        ends: bool = plateau.ends(value, model.tol, model.n_iter_no_change, lowers_rate=lowers_rate)
        if ends:
            patience = f"tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs"
            self._say(f"{what} did not improve more than {patience}. Stopping.")
        return ends

    def _score(self, held_out: Batch) -> float:
        """Return accuracy or R² on the held-out rows; NaN if a prediction is not finite."""
        model, (X, Y, weights) = self._model, held_out
        P = model.network_.backend.to_numpy(model._outputs(X))  # (n, n_outputs)
        if not np.isfinite(P).all():
            return nan
        metric = accuracy_score if is_classifier(model) else r2_score
        return float(metric(model._decoded(Y), model._decoded(P), sample_weight=weights))

    def _penalty_now(self) -> float:
        """Return the penalty on scikit-learn's scale: the penalty of a step, times the steps per full batch."""
        network, n = self._model.network_, self._data.X.shape[0]
        net = network.architecture
        if not net.weight_decay:
            return 0.0
        W = network._theta[: net.layout.weights]  # (all weights,)
        # Reading ``network.backend`` would choose NumPy, if the data have not chosen a backend yet.
        squares = float(namespace(W).sum(W * W))
        rows = settings.batch_rows(self._model, n)
        return float(0.5 * net.weight_decay * squares * ceil(n / rows) * rows / n)

    def _say(self, line: str) -> None:
        if self._model.verbose and self._group.rank == 0:
            with suppress(OSError, ValueError):  # the reader has closed the stream
                print(line)  # noqa: T201  asked for by the user

    # -- scikit-learn's callbacks ------------------------------------------------------------------------

    def _begin_task(self) -> None:
        self._task = self._context.subcontext(task_name="epoch")
        self._hook("begin", self._task)

    def _hook(self, name: str, task: Any, **options: Any) -> bool:
        X, Y, weights = self._data
        options["metadata"] = None if weights is None else {"sample_weight": weights}
        hook = getattr(task, f"call_on_fit_task_{name}")
        return hook(estimator=self._model, X=X, y=lambda: self._model._decoded(Y), **options) is True

    def _fitted(self) -> dict[str, Any]:
        """Return the attributes that the estimator would have if training ended now."""
        return {"network_": deepcopy(self._model.network_)}
