"""chainrule: dense networks, their forward and hand-derived backward pass written once.

The same source trains on NumPy, on CuPy (CUDA), on torch, on JAX and on any other library that follows
the Python Array API standard. Start with :class:`NeuralNetwork`; read :mod:`chainrule.layers` first.
"""

from chainrule import backends, schedules
from chainrule._version import __version__
from chainrule.activations import Activation
from chainrule.history import History
from chainrule.losses import Loss
from chainrule.network import NeuralNetwork
from chainrule.optimizers import Optimizer

__all__ = [
    "Activation",
    "History",
    "Loss",
    "NeuralNetwork",
    "Optimizer",
    "__version__",
    "backends",
    "schedules",
]
