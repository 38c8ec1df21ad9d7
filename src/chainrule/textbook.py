"""The textbook's names: the attributes that a first two-layer network has, on a network of any depth.

With one hidden layer they are that network's. With more, the first layer's weights are "input to
hidden", the last layer's are "hidden to output", and "hidden" is the last hidden layer.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from chainrule.mathematics.activations import sigmoid
from chainrule.mathematics.arrays import Array
from chainrule.mathematics.layers import Dense, DenseCache

FIRST, LAST_HIDDEN, LAST = 0, -2, -1


class TextbookNames(ABC):
    """What a first course calls the parts of a network."""

    @property
    @abstractmethod
    def layers(self) -> tuple[Dense, ...]:
        """The parameters of each layer."""

    @abstractmethod
    def set_layer(self, number: int, *, W: Any = None, b: Any = None) -> None:
        """Put other parameters into one layer."""

    @abstractmethod
    def cache(self, number: int) -> DenseCache:
        """Return what the last feedforward left of one layer."""

    @staticmethod
    def sigmoid(x: Any) -> Array:
        """Return ``1 / (1 + exp(-x))``, computed so that it cannot overflow.

        Examples
        --------
        >>> float(TextbookNames.sigmoid(0.0))
        0.5
        """
        return sigmoid.value(np.asarray(x) if isinstance(x, int | float | list) else x)

    @staticmethod
    def sigmoid_derivative(a: Array) -> Array:
        """Return ``a (1 - a)``: the sigmoid's derivative through its own output ``a``.

        Examples
        --------
        >>> TextbookNames.sigmoid_derivative(0.5)
        0.25
        """
        return a * (1 - a)

    @property
    def weights_input_hidden(self) -> Array:
        """``W (input_size, hidden)`` of the first layer."""
        return self.layers[FIRST].W

    @weights_input_hidden.setter
    def weights_input_hidden(self, W: Any) -> None:
        self.set_layer(FIRST, W=W)

    @property
    def bias_hidden(self) -> Array:
        """``b (1, hidden)`` of the first layer."""
        return self.layers[FIRST].b

    @bias_hidden.setter
    def bias_hidden(self, b: Any) -> None:
        self.set_layer(FIRST, b=b)

    @property
    def weights_hidden_output(self) -> Array:
        """``W (hidden, output_size)`` of the last layer."""
        return self.layers[LAST].W

    @weights_hidden_output.setter
    def weights_hidden_output(self, W: Any) -> None:
        self.set_layer(LAST, W=W)

    @property
    def bias_output(self) -> Array:
        """``b (1, output_size)`` of the last layer."""
        return self.layers[LAST].b

    @bias_output.setter
    def bias_output(self, b: Any) -> None:
        self.set_layer(LAST, b=b)

    @property
    def hidden_activation(self) -> Array:
        """``Z (n, hidden)``: what went into the hidden layer's activation function."""
        return self.cache(LAST_HIDDEN).Z

    @property
    def hidden_output(self) -> Array:
        """``A (n, hidden)``: what came out of it."""
        return self.cache(LAST_HIDDEN).A

    @property
    def output_activation(self) -> Array:
        """``Z (n, output_size)``: what went into the output layer's activation function."""
        return self.cache(LAST).Z

    @property
    def predicted_output(self) -> Array:
        """``A (n, output_size)``: what came out of it."""
        return self.cache(LAST).A
