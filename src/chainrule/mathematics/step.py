"""One training step as one pure function: forward, loss, backward, update.

Everything that a step depends on is an argument, and everything it changes is returned. It reads no value on the
host, so it can be run as written, traced, compiled, or captured.

The step has two parts. ``data_gradient`` is a sum over the rows of the batch, so it can be run on parts of the
batch; ``finish`` runs once, after the sum.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from chainrule.mathematics.architecture import Architecture
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.dropout import Key, dropout_mask, dropped
from chainrule.mathematics.layers import (
    Dense,
    DenseCache,
    dense_backward,
    dense_backward_input,
    dense_forward,
)
from chainrule.mathematics.optimizers import Optimizer, State
from chainrule.mathematics.precision import loss_scale, lowered, raised, scaled


class Batch(NamedTuple):
    """Some rows of the data."""

    X: Array  # (..., n, n_0)
    Y: Array  # (..., n, n_L)
    weights: Array | None = None  # (..., n, 1)

    def map(self, function: Callable[[Array], Any]) -> "Batch":
        """Return the batch of ``function(part)`` for X, Y and the weights, if there are any.

        Parameters
        ----------
        function : function
            Takes an array.

        Returns
        -------
        Batch
            The results.

        Examples
        --------
        >>> Batch(X=[3.0], Y=[1.0]).map(sum)
        Batch(X=3.0, Y=1.0, weights=None)
        """
        return Batch(*(None if part is None else function(part) for part in self))


def rows_of(data: Batch, places: Array) -> Batch:
    """Return the rows at ``places`` as a batch.

    Parameters
    ----------
    data : Batch
        ``X (n, n_0)``, ``Y (n, n_L)``, and weights ``(n, 1)`` or ``None``.
    places : Array
        ``(rows,)``, integers: the numbers of the rows, from 0.

    Returns
    -------
    Batch
        ``X (rows, n_0)``, ``Y (rows, n_L)``, and the weights ``(rows, 1)`` or ``None``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> data = Batch(X=xp.asarray([[1.0], [2.0], [3.0]]), Y=xp.asarray([[0.0], [0.0], [1.0]]))
    >>> rows_of(data, xp.asarray([2, 0])).X
    Array([[3.],
           [1.]], dtype=array_api_strict.float64)
    """
    xp = namespace(places)
    return data.map(lambda part: xp.take(part, places, axis=-2))


class Forward(NamedTuple):
    """The outputs and caches of the forward pass."""

    A: Array  # (..., n, n_L)   the outputs
    caches: tuple[DenseCache, ...]
    masks: tuple[Array | None, ...]  # each (n, n_l), for the hidden layers


def forward(theta: Array, X: Array, net: Architecture, key: Key = None, first_row: int = 0) -> Forward:
    """Return the outputs of all layers for ``X``; with a ``key``, with dropout.

    Parameters
    ----------
    theta
        ``(..., P)``: the flat parameters.
    X
        ``(..., n, n_0)``.
    net
        Sizes, activations and dropout.
    key
        int32, 0-d: the step's dropout key; ``None`` drops nothing (prediction).
    first_row
        The first row of ``X`` in the batch, if ``X`` is only some rows of it.

    Returns
    -------
    Forward
        The outputs ``A (..., n, n_L)``, the caches, and the dropout masks.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity")
    >>> theta = xp.asarray([2.0, 1.0])  # W, b
    >>> forward(theta, xp.asarray([[3.0]]), net).A  # 2 * 3 + 1
    Array([[7.]], dtype=array_api_strict.float64)
    """
    A, caches, masks = X, [], []
    for number, layer in enumerate(net.layout.split(theta)):
        A, cache = dense_forward(A, layer, net.activations[number])  # (..., n, n_l)
        caches.append(cache)
        mask = None
        if key is not None and net.dropout and number < net.depth - 1:
            mask = dropout_mask(A, key, net.dropout, number, first_row)  # (n, n_l)
            A = dropped(A, mask)  # (..., n, n_l)
        masks.append(mask)
    return Forward(A, tuple(caches), tuple(masks))


def objective(theta: Array, batch: Batch, net: Architecture, key: Key = None) -> Array:
    """Return ``L + lambda/2 sum W²``, the function that :func:`gradient` differentiates.

    Parameters
    ----------
    theta : Array
        ``(..., P)``: the flat parameters.
    batch : Batch
        ``X (..., n, n_0)``, ``Y (..., n, n_L)``, and weights ``(..., n, 1)`` or ``None``.
    net : Architecture
        Sizes, activations, loss, dropout and weight decay.
    key : Array, optional
        int32, 0-d: the step's dropout key; ``None`` drops nothing.

    Returns
    -------
    Array
        ``(...,)``: the loss with the penalty.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity")
    >>> theta = xp.asarray([2.0, 1.0])  # W, b
    >>> batch = Batch(X=xp.asarray([[3.0]]), Y=xp.asarray([[5.0]]))
    >>> float(objective(theta, batch, net))  # (7 - 5)² / 2
    2.0
    """
    A = forward(theta, batch.X, net, key).A  # (..., n, n_L)
    L = net.loss.value(A, batch.Y, batch.weights)  # (...,)
    if not net.weight_decay:
        return L
    W = theta[..., : net.layout.weights]  # (..., all weights)
    return L + 0.5 * net.weight_decay * namespace(W).sum(W * W, axis=-1)  # (...,)


def chain_rule(
    theta: Array,
    X: Array,
    net: Architecture,
    loss: Callable[[Array], tuple[Array, Array]],
    key: Key = None,
    first_row: int = 0,
) -> tuple[Array, list[Dense]]:
    """Return the loss and the gradients of all layers, by the chain rule from the last layer to the first.

    Parameters
    ----------
    theta, X, net, key, first_row
        As in :func:`forward`.
    loss
        ``A (..., n, n_L) -> L (...,), dL_dA (..., n, n_L)``.

    Returns
    -------
    L : Array
        ``(...,)``.
    gradients : list of Dense
        ``dL_dW (..., n_in, n_out)`` and ``dL_db (..., 1, n_out)`` of each layer.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity")
    >>> theta = xp.asarray([2.0, 1.0])  # W, b
    >>> L, gradients = chain_rule(theta, xp.asarray([[3.0]]), net, lambda A: (A[0, 0], xp.ones_like(A)))
    >>> gradients[0].W  # L = A = 3 W + b
    Array([[3.]], dtype=array_api_strict.float64)
    """
    layers = net.layout.split(theta)
    A, caches, masks = forward(theta, X, net, key, first_row)
    L, dL_dA = loss(A)  # (...,), (..., n, n_L)
    gradients: list[Dense] = []
    for number in reversed(range(net.depth)):
        mask = masks[number]
        dL_dA = dL_dA if mask is None else dL_dA * mask  # (..., n, n_l)
        gradient, dL_dZ = dense_backward(dL_dA, caches[number], net.activations[number])
        gradients.append(gradient)
        if number > 0:  # the input of the first layer is the data, which has no gradient
            dL_dA = dense_backward_input(dL_dZ, layers[number])  # (..., n, n_l)
    return L, gradients[::-1]


def data_gradient(
    theta: Array,
    batch: Batch,
    net: Architecture,
    key: Key = None,
    *,
    rows: int | None = None,
    first_row: int = 0,
) -> tuple[Array, Array]:
    """Return the loss of the data and its gradient, without the penalty.

    Both are sums over rows, so the results for parts of a batch add up to the result for the whole. If the
    network computes in 16 bits, :func:`chain_rule` runs in 16 bits; the results have the dtype of ``theta``.

    Parameters
    ----------
    theta, batch, net, key
        As in :func:`step`.
    rows
        The number of rows of the whole batch, if ``batch`` is only some rows of it.
    first_row
        The first of these rows in the whole batch.

    Returns
    -------
    L : Array
        ``(...,)``.
    g : Array
        dL/dtheta, ``(..., P)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity")
    >>> theta = xp.asarray([2.0, 1.0])  # W, b
    >>> batch = Batch(X=xp.asarray([[3.0]]), Y=xp.asarray([[5.0]]))
    >>> data_gradient(theta, batch, net)[1]  # (7 - 5) * 3, (7 - 5)
    Array([6., 2.], dtype=array_api_strict.float64)
    """
    scale = loss_scale(net.compute, net.loss.divisor(rows or batch.X.shape[-2], net.sizes[-1]))

    def loss(outputs: Array) -> tuple[Array, Array]:
        A = raised(outputs, theta)  # (..., n, n_L)
        L = net.loss.value(A, batch.Y, batch.weights, rows)  # (...,)
        dL_dA = net.loss.gradient(A, batch.Y, batch.weights, rows)  # (..., n, n_L)
        return L, lowered(scaled(dL_dA, scale), net.compute)

    low, X = lowered(theta, net.compute), lowered(batch.X, net.compute)  # (..., P), (..., n, n_0)
    L, gradients = chain_rule(low, X, net, loss, key, first_row)  # (...,)
    g = raised(net.layout.join(gradients), theta)  # (..., P)
    return L, scaled(g, 1.0 / scale)


def penalised(g: Array, theta: Array, net: Architecture) -> Array:
    """Return ``g + lambda W``: the gradient including the penalty, which excludes biases.

    Parameters
    ----------
    g, theta : Array
        ``(..., P)``: the gradient of the data, and the flat parameters.
    net : Architecture
        Its ``weight_decay`` is lambda.

    Returns
    -------
    Array
        ``(..., P)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity", weight_decay=0.5)
    >>> penalised(xp.asarray([6.0, 2.0]), xp.asarray([2.0, 1.0]), net)  # 6 + 0.5 * 2; the bias is unchanged
    Array([7., 2.], dtype=array_api_strict.float64)
    """
    if not net.weight_decay:
        return g
    xp = namespace(g, theta)
    weights = net.layout.weights
    decayed = g[..., :weights] + net.weight_decay * theta[..., :weights]  # (..., all weights)
    return xp.concat([decayed, g[..., weights:]], axis=-1)  # (..., P)


def clipped(g: Array, clip_norm: float | None) -> Array:
    """Return ``g``, scaled down to the norm ``clip_norm`` if its norm is larger.

    Pascanu et al. 2013, arXiv:1211.5063, algorithm 1, over all parameters together.

    Parameters
    ----------
    g : Array
        ``(..., P)``: the gradient.
    clip_norm : float or None
        The largest Euclidean norm; ``None`` returns ``g`` unchanged.

    Returns
    -------
    Array
        ``(..., P)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> clipped(xp.asarray([3.0, 4.0]), 1.0)  # of norm 5
    Array([0.6, 0.8], dtype=array_api_strict.float64)
    >>> clipped(xp.asarray([0.3, 0.4]), 1.0)
    Array([0.3, 0.4], dtype=array_api_strict.float64)
    """
    if clip_norm is None:
        return g
    xp = namespace(g)
    norm = xp.sqrt(xp.sum(g * g, axis=-1, keepdims=True))  # (..., 1)
    # clip / max(norm, clip) is 1 for a small gradient and never divides by 0.
    return g * (clip_norm / xp.maximum(norm, clip_norm * xp.ones_like(norm)))  # (..., P)


def gradient(theta: Array, batch: Batch, net: Architecture, key: Key = None) -> tuple[Array, Array]:
    """Return the loss of the data and the gradient of :func:`objective`.

    Parameters
    ----------
    theta : Array
        ``(..., P)``: the flat parameters.
    batch : Batch
        ``X (..., n, n_0)``, ``Y (..., n, n_L)``, and weights ``(..., n, 1)`` or ``None``.
    net : Architecture
        Sizes, activations, loss, dropout and weight decay.
    key : Array, optional
        int32, 0-d: the step's dropout key; ``None`` drops nothing.

    Returns
    -------
    L : Array
        ``(...,)``: the loss, without the penalty.
    g : Array
        ``(..., P)``: the gradient, with the penalty.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity")
    >>> theta = xp.asarray([2.0, 1.0])  # W, b
    >>> batch = Batch(X=xp.asarray([[3.0]]), Y=xp.asarray([[5.0]]))
    >>> L, g = gradient(theta, batch, net)
    >>> float(L), g
    (2.0, Array([6., 2.], dtype=array_api_strict.float64))
    """
    L, g = data_gradient(theta, batch, net, key)
    return L, penalised(g, theta, net)


class Progress(NamedTuple):
    """The parameters and the optimizer's state."""

    theta: Array  # (..., P)
    state: State  # the optimizer's arrays


def finish(
    progress: Progress, g: Array, learning_rate: Array, net: Architecture, optimizer: Optimizer
) -> Progress:
    """Return the parameters and the state after an update with the gradient of the data.

    Parameters
    ----------
    progress : Progress
        ``theta (..., P)`` and the optimizer's state.
    g : Array
        ``(..., P)``: the gradient of the data, without the penalty.
    learning_rate : Array
        0-d, in the dtype of ``theta``.
    net : Architecture
        Its ``weight_decay`` and ``clip_norm`` are used.
    optimizer : Optimizer
        The update rule.

    Returns
    -------
    Progress
        ``theta (..., P)`` and the optimizer's state.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.architecture import architecture
    >>> net = architecture((1, (), 1), [], "identity")
    >>> theta = xp.asarray([2.0, 1.0])  # W, b
    >>> from chainrule.mathematics.optimizers import sgd
    >>> finish(Progress(theta, ()), xp.asarray([6.0, 2.0]), xp.asarray(0.1), net, sgd()).theta
    Array([1.4, 0.8], dtype=array_api_strict.float64)
    """
    theta, state = progress
    g = clipped(penalised(g, theta, net), net.clip_norm)  # (..., P)
    return Progress(*optimizer.update(g, state, theta, learning_rate))


def step(
    progress: Progress,
    batch: Batch,
    learning_rate: Array,
    key: Key,
    net: Architecture,
    optimizer: Optimizer,
) -> tuple[Progress, Array]:
    """Return the progress after one training step, and the loss before it.

    Parameters
    ----------
    progress
        The flat parameters ``theta (..., P)`` and the optimizer's state.
    batch
        ``X (..., n, n_0)``, ``Y (..., n, n_L)``, and weights ``(..., n, 1)`` or ``None``.
    learning_rate
        0-d, in the dtype of ``theta``: an array, so that a compiled step takes any value.
    key
        int32, 0-d: the dropout key of this step, or ``None`` without dropout.
    net, optimizer
        The network and the update rule.

    Returns
    -------
    progress : Progress
        ``theta (..., P)`` and the optimizer's state.
    L : Array
        ``(...,)``.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> from chainrule.mathematics.activations import identity
    >>> from chainrule.mathematics.losses import squared_error
    >>> from chainrule.mathematics.optimizers import sgd
    >>> net = Architecture((1, 1), (identity,), squared_error)
    >>> start = Progress(theta=xp.asarray([2.0, 0.0]), state=())
    >>> batch = Batch(X=xp.asarray([[3.0]]), Y=xp.asarray([[5.0]]))
    >>> end, L = step(start, batch, xp.asarray(0.1), None, net, sgd())
    >>> float(L)  # (2 * 3 - 5)² / 2
    0.5
    >>> end.theta  # W - 0.1 * 3 * 1,  b - 0.1 * 1
    Array([ 1.7, -0.1], dtype=array_api_strict.float64)
    """
    L, g = data_gradient(progress.theta, batch, net, key)
    return finish(progress, g, learning_rate, net, optimizer), L


class TrainingStep(NamedTuple):
    """The step of one network with one optimizer, as functions of arrays, for tracing and compiling."""

    net: Architecture
    optimizer: Optimizer

    def whole(
        self, progress: Progress, batch: Batch, learning_rate: Array, key: Key
    ) -> tuple[Progress, Array]:
        """Run :func:`step`.

        Parameters
        ----------
        progress : Progress
            ``theta (..., P)`` and the optimizer's state.
        batch : Batch
            ``X (..., n, n_0)``, ``Y (..., n, n_L)``, and weights ``(..., n, 1)`` or ``None``.
        learning_rate : Array
            0-d, in the dtype of ``theta``.
        key : Array or None
            int32, 0-d: the step's dropout key; ``None`` drops nothing.

        Returns
        -------
        tuple
            The progress after the step, and the loss ``L (...,)`` before it.
        """
        return step(progress, batch, learning_rate, key, self.net, self.optimizer)

    def part(
        self, theta: Array, batch: Batch, key: Key, rows: int, first_row: int
    ) -> tuple[Array, Array]:
        """Run :func:`data_gradient` on some rows of a batch.

        Parameters
        ----------
        theta : Array
            ``(..., P)``: the flat parameters.
        batch : Batch
            Some rows of a batch: ``X (..., n, n_0)``, ``Y (..., n, n_L)``, and weights ``(..., n, 1)`` or ``None``.
        key : Array or None
            int32, 0-d: the step's dropout key; ``None`` drops nothing.
        rows : int
            The number of rows of the whole batch.
        first_row : int
            The first of these rows in the whole batch.

        Returns
        -------
        tuple
            ``L (...,)`` and ``g (..., P)`` of these rows.
        """
        return data_gradient(theta, batch, self.net, key, rows=rows, first_row=first_row)

    def finish(self, progress: Progress, g: Array, learning_rate: Array) -> Progress:
        """Run :func:`finish`.

        Parameters
        ----------
        progress : Progress
            ``theta (..., P)`` and the optimizer's state.
        g : Array
            ``(..., P)``: the gradient of the data, without the penalty.
        learning_rate : Array
            0-d, in the dtype of ``theta``.

        Returns
        -------
        Progress
            ``theta (..., P)`` and the optimizer's state.
        """
        return finish(progress, g, learning_rate, self.net, self.optimizer)
