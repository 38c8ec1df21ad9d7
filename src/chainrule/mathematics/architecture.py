"""The architecture: everything about a network that is not an array."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from chainrule.mathematics.activations import ACTIVATIONS, Activation, activation, exact_sigmoid, sigmoid
from chainrule.mathematics.checks import FINITE, Range, check_number, whole_number
from chainrule.mathematics.losses import LOSSES, Loss, loss
from chainrule.mathematics.naming import require
from chainrule.mathematics.parameters import Layout
from chainrule.mathematics.precision import HALVES

# With a larger probability, dropout's threshold would not fit in the 32 bits of the hash it is compared with.
DROPOUT = Range("a number from 0 to 1 - 2^-32", lambda p: 0.0 <= p <= 1.0 - 2.0**-32)
_CLIP = Range("a number above 0, or None", lambda norm: 0.0 < norm < math.inf)


@dataclass(frozen=True)
class Architecture:
    """Sizes, activations, loss, dropout, weight decay and clipping of a network; checked on construction.

    Parameters
    ----------
    sizes
        The widths ``(n_0, ..., n_L)`` from the input to the output.
    activations
        One for each of the L layers.
    loss
        The loss that training minimizes.
    dropout
        The probability of dropping each hidden unit in training, from 0 to 1 - 2^-32.
    weight_decay
        The lambda of the penalty ``lambda/2 sum W²`` (weights, not biases), 0 or more.
    clip_norm
        The largest Euclidean norm of the whole gradient; ``None`` leaves it alone.
    compute
        The dtype of the products in a training step, "float16" or "bfloat16"; ``None`` is that of the parameters.

    Attributes
    ----------
    depth
        The number of layers L.
    layout
        The :class:`~chainrule.mathematics.parameters.Layout` of the flat parameters.

    Raises
    ------
    ValueError
        If a number is outside its range, if the loss takes logits and the output activation is not the
        identity, or if the loss chooses among classes and there is only one output.

    Examples
    --------
    >>> from chainrule.mathematics.activations import identity, relu
    >>> from chainrule.mathematics.losses import cross_entropy
    >>> Architecture((64, 32, 10), (relu, identity), cross_entropy).layout.total
    2410
    """

    sizes: tuple[int, ...]
    activations: tuple[Activation, ...]
    loss: Loss
    dropout: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    compute: str | None = None
    depth: int = field(init=False)
    layout: Layout = field(init=False, compare=False, repr=False)  # layout of the flat parameters

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", len(self.sizes) - 1)
        object.__setattr__(self, "layout", Layout(self.sizes))
        shown = ", ".join(map(str, self.sizes))
        require(min(self.sizes) >= 1, f"layer sizes are {shown}; every size must be 1 or more")
        hidden = f"{self.depth - 1} hidden layer{'s' * (self.depth != 2)}"
        problem = f"got {len(self.activations) - 1} activations for {hidden}; give one name for all of them, or one for each"
        require(len(self.activations) == self.depth, problem)
        check_number("dropout", self.dropout, DROPOUT)
        check_number("weight_decay", self.weight_decay, FINITE)
        if self.clip_norm is not None:
            check_number("clip_norm", self.clip_norm, _CLIP)
        problem = f"compute is {self.compute!r}; give 'float16', 'bfloat16' or None"
        require(self.compute in {None, *HALVES}, problem)
        name, output = self.loss.name, self.activations[-1].name
        remedy = "leave output_activation out (predict still returns probabilities)"
        problem = f"loss {name!r} takes logits, got output activation {output!r}; {remedy}"
        require(not self.loss.logits or output == "identity", problem)
        remedy = "give output_size=2, or loss='binary_cross_entropy'"
        problem = f"loss {name!r} chooses among 2 classes or more, got 1 output; {remedy}"
        require(self.loss.targets != "classes" or self.sizes[-1] >= 2, problem)

    def __str__(self) -> str:
        """Return the sizes and the activations, such as "2-4-1 (sigmoid, sigmoid)"."""
        functions = ", ".join(activation.name for activation in self.activations)
        return f"{'-'.join(map(str, self.sizes))} ({functions})"

    @property
    @lru_cache(maxsize=64)  # noqa: B019  a field would be pickled, too
    def predicting(self) -> "Architecture":
        """The same network with an exact sigmoid, so that small outputs keep their digits.

        Examples
        --------
        >>> architecture((2, 4, 1)).predicting.activations[-1] is exact_sigmoid
        True
        """
        *hidden, last = self.activations
        return replace(self, activations=(*hidden, exact_sigmoid)) if last == sigmoid else self

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of ``NeuralNetwork`` as names and numbers, for JSON.

        Returns
        -------
        dict
            The values by name: "input_size", "hidden_size", ...

        Raises
        ------
        ValueError
            If an activation or the loss is not one of this package, since a file cannot hold its code.
        """
        pairs: list[tuple[Any, Mapping[str, Any]]] = [(f, ACTIVATIONS) for f in self.activations]
        for function, table in [*pairs, (self.loss, LOSSES)]:
            problem = f"{function.name!r} is not one of {sorted(table)}: a file cannot hold its code"
            require(table.get(function.name) is function, problem)
        return {
            "input_size": self.sizes[0],
            "hidden_size": list(self.sizes[1:-1]),
            "output_size": self.sizes[-1],
            "activation": [f.name for f in self.activations[:-1]],
            "output_activation": self.activations[-1].name,
            "loss": self.loss.name,
            "dropout": self.dropout,
            "weight_decay": self.weight_decay,
            "clip_norm": self.clip_norm,
        }

    def flops(self, batch_size: int) -> int:
        """Return the number of floating-point operations in the matrix products of a step.

        Each weight takes two per row in the forward pass, two for its gradient, and two for the gradient of the
        layer below, which the first layer does not need: ``6 n sum(n_in n_out) - 2 n n_0 n_1``.

        Parameters
        ----------
        batch_size : int
            The number of rows n of the batch.

        Returns
        -------
        int
            The number of operations in one step.

        Examples
        --------
        >>> from chainrule.mathematics.activations import identity, sigmoid
        >>> from chainrule.mathematics.losses import cross_entropy
        >>> net = Architecture((784, 100, 10), (sigmoid, identity), cross_entropy)
        >>> net.flops(200)
        63920000
        """
        products = [n_in * n_out for n_in, n_out in pairwise(self.sizes)]
        return 6 * batch_size * sum(products) - 2 * batch_size * products[0]


def architecture(
    sizes: tuple[int, int | Sequence[int], int],
    activations: str | Activation | Sequence[str | Activation] = "sigmoid",
    output_activation: str | Activation | None = None,
    objective: str | Loss = "squared_error",
    **additions: Any,
) -> Architecture:
    """Return the architecture for these sizes, names and settings.

    Parameters
    ----------
    sizes
        Input, hidden (one width, or a sequence of them), output.
    activations
        One name for all hidden layers, or one for each.
    output_activation
        The output activation. The default is the loss's.
    objective
        The loss.
    additions
        ``dropout``, ``weight_decay``, ``clip_norm``, ``compute``.

    Returns
    -------
    Architecture
        The checked architecture.

    Raises
    ------
    ValueError, TypeError
        If a name is unknown, a size is not a whole number, or the parts do not go together.

    Examples
    --------
    >>> built = architecture((64, (32, 16), 10), "relu", None, "cross_entropy")
    >>> built.sizes, [f.name for f in built.activations]
    ((64, 32, 16, 10), ['relu', 'relu', 'identity'])
    """
    first, hidden, last = sizes
    is_one = isinstance(hidden, int | str)  # text is refused below, as a whole
    widths = (hidden,) if is_one or not isinstance(hidden, Sequence) else tuple(hidden)
    function = loss(objective)
    if isinstance(activations, str) or not isinstance(activations, Sequence):
        activations = [activation(activations)] * len(widths)
    output = function.output_activation if output_activation is None else output_activation
    return Architecture(
        tuple(whole_number("a layer size", width) for width in (first, *widths, last)),
        tuple(activation(f) for f in (*activations, output)),
        function,
        **additions,
    )
