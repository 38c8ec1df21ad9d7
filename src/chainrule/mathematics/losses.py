"""Losses: the error of each output, its slope, and the divisor of the sum.

``L = sum_ij w_i error(A, Y)_ij / divisor(n, n_out)`` and so ``dL_dA = w * slope(A, Y) / divisor``,
where ``n`` is the number of rows of the whole batch and ``w (n, 1)`` are the optional sample weights. Every
1/n and every 1/2 of the package is in this file: layers and optimizers do not use n.

A weight multiplies the error of its sample; the divisor stays n. A weight of 2 equals the row given twice, in a
batch that is still divided by n.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from chainrule.mathematics.activations import exact_sigmoid, sigmoid
from chainrule.mathematics.arrays import Array, namespace
from chainrule.mathematics.naming import lookup


def _one(_rows: int, _outputs: int) -> float:
    return 1.0


def _rows(rows: int, _outputs: int) -> float:
    return float(rows)


def _elements(rows: int, outputs: int) -> float:
    return float(rows * outputs)


def _half_elements(rows: int, outputs: int) -> float:
    return 0.5 * rows * outputs


def _unchanged(A: Array) -> Array:
    return A


@dataclass(frozen=True)
class Loss:
    """A loss: ``error`` of each output, its ``slope``, and the ``divisor`` of the sum.

    Parameters
    ----------
    name
        Its name in messages, tables and saved models.
    error
        ``A, Y (..., n, n_out) -> (..., n, n_out)`` or ``(..., n, 1)``.
    slope
        ``A, Y -> (..., n, n_out)``: d error / dA, summed over the outputs that share the error.
    divisor
        ``n, n_out -> float``: the divisor of the sum over the batch in training.
    report_divisor
        The divisor of the loss that is printed and recorded; by default ``divisor``.
    link
        The function from the network's outputs to what ``predict`` returns: identity, sigmoid or softmax.
    logits
        Whether the outputs are logits. The output activation must then be the identity.
    targets
        "values" (any number), "probabilities" (0 to 1), or "classes" (one-hot or labels).
    output_activation
        The name of the output layer's default activation.

    Examples
    --------
    >>> import array_api_strict as xp
    >>> A, Y = xp.asarray([[0.8], [0.4]]), xp.asarray([[1.0], [0.0]])
    >>> round(float(squared_error.value(A, Y)), 4)
    0.1
    >>> squared_error.gradient(A, Y)
    Array([[-0.2],
           [ 0.4]], dtype=array_api_strict.float64)
    """

    name: str
    error: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
    divisor: Callable[[int, int], float] = _rows
    report_divisor: Callable[[int, int], float] | None = None
    link: Callable[[Array], Array] = _unchanged
    logits: bool = False
    targets: str = "values"
    output_activation: str = "identity"

    @property
    def reported_name(self) -> str:
        """The name of the loss that is printed and recorded.

        Examples
        --------
        >>> squared_error.reported_name, cross_entropy.reported_name
        ('mean squared error', 'cross entropy')
        """
        squared = self.name in {"squared_error", "mean_squared_error"}
        return "mean squared error" if squared else self.name.replace("_", " ")

    def value(self, A: Array, Y: Array, weights: Array | None = None, rows: int | None = None) -> Array:
        """Return the sum of the errors, divided by the divisor.

        Parameters
        ----------
        A, Y
            Outputs and targets ``(..., n, n_out)``.
        weights
            Sample weights ``(..., n, 1)``.
        rows
            The n of the divisor if ``A`` is only some rows of a batch. A loss is a sum over rows, so the parts of a
            batch add up to the whole.

        Returns
        -------
        Array
            ``L (...,)``.
        """
        xp = namespace(A, Y)
        E = self.error(A, Y)  # (..., n, n_out) or (..., n, 1)
        if weights is not None:
            E = weights * E  # (..., n, n_out) or (..., n, 1)
        return self._divided(xp.sum(E, axis=(-2, -1)), A, rows)  # (...,)

    def gradient(
        self, A: Array, Y: Array, weights: Array | None = None, rows: int | None = None
    ) -> Array:
        """Return the derivative of :meth:`value` with respect to ``A``.

        Parameters
        ----------
        A, Y : Array
            ``(..., n, n_out)``: outputs and targets.
        weights : Array, optional
            ``(..., n, 1)``: sample weights.
        rows : int, optional
            The n of the divisor if ``A`` is only some rows of a batch.

        Returns
        -------
        Array
            ``dL_dA (..., n, n_out)``.
        """
        dL_dA = self.slope(A, Y)  # (..., n, n_out)
        if weights is not None:
            dL_dA = weights * dL_dA  # (..., n, n_out)
        return self._divided(dL_dA, A, rows)  # (..., n, n_out)

    def reported(self, value: Array, rows: int, outputs: int) -> Array:
        """Return the loss to print for the ``value`` of a batch.

        Parameters
        ----------
        value : Array
            ``(...,)``: what :meth:`value` returned for a batch.
        rows, outputs : int
            The batch's number of rows, and the number of outputs ``n_out``.

        Returns
        -------
        Array
            ``(...,)``: the same sum with the divisor ``report_divisor``.
        """
        report_divisor = self.report_divisor or self.divisor
        return value * self.divisor(rows, outputs) / report_divisor(rows, outputs)

    def _divided(self, total: Array, A: Array, rows: int | None) -> Array:
        divisor = self.divisor(rows or A.shape[-2], A.shape[-1])
        return total if divisor == 1.0 else total * (1.0 / divisor)


def _half_square(A: Array, Y: Array) -> Array:
    D = A - Y  # (..., n, n_out)
    return 0.5 * (D * D)  # (..., n, n_out)


def _difference(A: Array, Y: Array) -> Array:
    return A - Y  # (..., n, n_out)


def _sigmoid_cross_entropy(Z: Array, Y: Array) -> Array:
    # -y log s(z) - (1 - y) log(1 - s(z)) = max(z, 0) - z y + log1p(exp(-|z|)) is finite for every z.
    xp = namespace(Z, Y)
    return xp.maximum(Z, xp.zeros_like(Z)) - Z * Y + xp.log1p(xp.exp(-xp.abs(Z)))  # (..., n, n_out)


def _sigmoid_minus_target(Z: Array, Y: Array) -> Array:
    return sigmoid.value(Z) - Y  # (..., n, n_out)


def _softmax_terms(Z: Array) -> tuple[Array, Array, Array]:
    # Shifting every row by its largest logit changes no probability and lets no exponential overflow.
    xp = namespace(Z)
    S = Z - xp.max(Z, axis=-1, keepdims=True)  # (..., n, n_out)
    E = xp.exp(S)  # (..., n, n_out)
    return S, E, xp.sum(E, axis=-1, keepdims=True)  # (..., n, 1)


def _softmax(Z: Array) -> Array:
    _, E, total = _softmax_terms(Z)
    return E / total  # (..., n, n_out)


def _softmax_cross_entropy(Z: Array, Y: Array) -> Array:
    xp = namespace(Z, Y)
    S, _, total = _softmax_terms(Z)
    # The rows of Y sum to 1, so -sum_j y_j log p_j = log(total) - sum_j y_j s_j.
    return xp.log(total) - xp.sum(Y * S, axis=-1, keepdims=True)  # (..., n, 1)


def _softmax_minus_target(Z: Array, Y: Array) -> Array:
    return _softmax(Z) - Y  # (..., n, n_out)


def _exponential(Z: Array) -> Array:
    return namespace(Z).exp(Z)  # (..., n, n_out)


def _poisson_deviance(Z: Array, Y: Array) -> Array:
    # Half the deviance: y log(y / exp(z)) - y + exp(z), where 0 log 0 is 0.
    xp = namespace(Z, Y)
    log_y = xp.log(xp.where(Y > 0, Y, xp.ones_like(Y)))  # (..., n, n_out)
    return Y * (log_y - Z) - Y + xp.exp(Z)  # (..., n, n_out)


def _exponential_minus_target(Z: Array, Y: Array) -> Array:
    return _exponential(Z) - Y  # (..., n, n_out)


# Half the sum of squared errors over the batch, not divided by n: its gradient through a sigmoid,
# (A - Y) A (1 - A), is the one in every first course on backpropagation. Reported as the mean.
squared_error = Loss(
    "squared_error", _half_square, _difference, _one, _half_elements, output_activation="sigmoid"
)
# The mean over samples and outputs of the squared error.
mean_squared_error = Loss("mean_squared_error", _half_square, _difference, divisor=_half_elements)
# Half the squared error summed over outputs, the mean over samples. Reported as the mean over outputs as well.
half_squared_error = Loss("half_squared_error", _half_square, _difference, report_divisor=_elements)
# The mean over samples and outputs, on logits; targets are probabilities.
binary_cross_entropy = Loss(
    "binary_cross_entropy",
    _sigmoid_cross_entropy,
    _sigmoid_minus_target,
    divisor=_elements,
    link=exact_sigmoid.value,
    logits=True,
    targets="probabilities",
)
# The same, summed over outputs: each output is a separate label, as in scikit-learn's estimators.
multilabel_cross_entropy = replace(binary_cross_entropy, name="multilabel_cross_entropy", divisor=_rows)
# The mean over samples, on logits; the rows of the targets sum to 1 (one-hot, or soft labels).
cross_entropy = Loss(
    "cross_entropy",
    _softmax_cross_entropy,
    _softmax_minus_target,
    link=_softmax,
    logits=True,
    targets="classes",
)

# Half the deviance of Poisson's distribution, summed over outputs, the mean over samples. The outputs are
# logarithms of the predicted means; targets are counts or other numbers of 0 and more.
poisson = Loss("poisson", _poisson_deviance, _exponential_minus_target, link=_exponential, logits=True)

LOSSES = {name: part for name, part in globals().items() if isinstance(part, Loss)}


def loss(choice: str | Loss) -> Loss:
    """Return the loss with this name; a :class:`Loss` is returned unchanged.

    Parameters
    ----------
    choice : str or Loss
        A name, such as "cross_entropy", or a loss of your own.

    Returns
    -------
    Loss
        The error, its slope and its divisor.

    Raises
    ------
    ValueError
        If no loss has the name; the message gives the nearest one.

    Examples
    --------
    >>> loss("cross_entropy").logits
    True
    """
    return lookup("loss", choice, Loss, LOSSES)
