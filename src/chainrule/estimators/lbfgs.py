"""L-BFGS: SciPy's minimizer with the gradient of all rows, for ``solver="lbfgs"``."""

import time
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize
from scipy.sparse import issparse

from chainrule import NeuralNetwork
from chainrule.data import targets
from chainrule.estimators import sparse
from chainrule.mathematics.naming import require
from chainrule.mathematics.step import Batch, data_gradient, penalised
from chainrule.training.history import History
from chainrule.training.tasks import Callback


def train(network: NeuralNetwork, data: Batch, ended: Callback, **options: Any) -> tuple[History, str]:
    """Minimize ``L + lambda/2 sum W²`` over all rows; the network is updated after each iteration.

    Parameters
    ----------
    network, data
        The network and its data; X may be sparse.
    ended
        Called with the record of each iteration; ends training with ``True``.
    options
        "maxiter", "maxfun" and "gtol" of SciPy's "L-BFGS-B".

    Returns
    -------
    tuple
        The history, and why the minimizer stopped before it converged ("" if it did).

    Raises
    ------
    FloatingPointError
        If the loss stops being finite.
    """
    X, Y, weights = data
    n, is_sparse = X.shape[0], issparse(X)
    door = network._place_for(sparse.dense(X[:1]) if is_sparse else X)
    net, backend = network.architecture, network.backend
    X = X if is_sparse else backend.asarray(X, network.dtype)  # (n, n_in)
    history, began = History(net.loss.reported_name), time.perf_counter()

    def penalty(flat: np.ndarray) -> float:
        W = flat[: net.layout.weights]  # (all weights,)
        return 0.5 * net.weight_decay * float(W @ W)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        theta = backend.asarray(flat, network.dtype)  # (P,)
        L, g = 0.0, np.zeros_like(flat)  # (P,)
        for start, stop in sparse.parts(X):
            w = None if weights is None else weights[start:stop]  # (rows,)
            part = targets.batch((sparse.dense(X[start:stop, :]), Y[start:stop], w), net, door)
            with backend.quiet():
                loss, slope = data_gradient(theta, part, net, rows=n)
            L, g = L + float(backend.to_numpy(loss)), g + backend.to_numpy(slope)  # (P,)
        problem = f"training diverged: the loss became {L}; scale X, or use solver='adam'"
        require(np.isfinite(L), problem, FloatingPointError)
        return L + penalty(flat), penalised(g, flat, net)

    def after(intermediate_result: OptimizeResult) -> None:
        flat, seconds = intermediate_result.x, time.perf_counter() - began
        network._show(backend.copy(backend.asarray(flat, network.dtype)))
        loss = net.loss.reported(float(intermediate_result.fun) - penalty(flat), n, net.sizes[-1])
        history.add([loss], [1.0], seconds)
        if ended(history.record(-1)) is True:
            history.interrupted = True
            raise StopIteration

    start = backend.to_numpy(network._theta).astype(np.float64)  # (P,)
    try:
        result = minimize(objective, start, jac=True, method="L-BFGS-B", callback=after, options=options)
    except KeyboardInterrupt:
        history.interrupted = True
    return history, "" if history.interrupted or result.success else str(result.message)
