"""chainrule: dense networks, their forward and hand-derived backward pass written once.

The same source trains on NumPy, on CuPy (CUDA), on torch, on JAX and on any other library that follows
the Python Array API standard. Start with :class:`NeuralNetwork`; read :mod:`chainrule.mathematics.layers` first.
"""

import sys

from chainrule import backends
from chainrule._version import __version__
from chainrule.mathematics import activations, arrays, layers, losses, optimizers, schedules
from chainrule.mathematics.activations import Activation
from chainrule.mathematics.losses import Loss
from chainrule.mathematics.optimizers import Optimizer
from chainrule.network import NeuralNetwork, train_many
from chainrule.training.history import History

__all__ = [
    "Activation",
    "History",
    "Loss",
    "NeuralNetwork",
    "Optimizer",
    "__version__",
    "backends",
    "schedules",
    "train_many",
]

# Short names of the modules that users import from: chainrule.layers is chainrule.mathematics.layers.
for _module in (activations, arrays, layers, losses, optimizers, schedules):
    sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module
