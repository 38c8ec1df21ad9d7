"""Who takes part in the table of steps: each one runs the same training step in a process of its own."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

# The floor is no step; a peer is called once a step and is what ours is measured against; what is
# there for information runs many steps a call, or is written as nobody writes it.
FLOOR, OURS, NOTEBOOK, PEER, INFORMATION = "floor", "ours", "notebook", "peer", "information"


class Entry(NamedTuple):
    """One contestant: where its code stands, what it needs installed, and what the table says of it."""

    name: str
    group: str
    code: str  # module:function, which makes a Contestant of a Problem
    needs: tuple[str, ...]
    says: str

    def missing(self) -> list[str]:
        """Return what it needs and is not installed."""
        return [name for name in self.needs if find_spec(name) is None]

    def maker(self) -> Callable[[Any], Any]:
        """Return the function that makes it of a problem."""
        module, function = self.code.split(":")
        found: Callable[[Any], Any] = getattr(import_module(f"step_contestants.{module}"), function)
        return found


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "floor",
            FLOOR,
            "numpy_code:floor",
            ("numpy",),
            "the step's 3L-1 matrix products alone, np.matmul(out=), NumPy's own threads",
        ),
        Entry(
            "jit",
            OURS,
            "ours:native",
            ("chainrule", "llvmlite"),
            "chainrule with the extra jit, the engine's bare step; its loss is read on the host",
        ),
        Entry("plain", OURS, "ours:plain", ("chainrule",), "the same, as installed plainly"),
        Entry(
            "notebook",
            NOTEBOOK,
            "numpy_code:notebook",
            ("numpy",),
            "its equations in plain NumPy, float32, sigmoid as 1/(1+exp(-x)); it computes no loss",
        ),
        Entry(
            "torch-eager",
            PEER,
            "torch_code:eager",
            ("torch",),
            "nn.Linear, autograd, SGD or Adam with foreach=True",
        ),
        Entry(
            "torch-manual",
            PEER,
            "torch_code:manual",
            ("torch",),
            "the derivatives written out, no autograd; Adam's update is torch.optim's, foreach=True",
        ),
        Entry("jax-jit", PEER, "jax_code:once_a_step", ("jax",), "jax.jit, parameters donated"),
        Entry(
            "sklearn",
            PEER,
            "sklearn_code:epoch",
            ("sklearn",),
            "MLPRegressor.partial_fit with batch_size=n; its own output and loss scale (identity, mean); "
            "MLPClassifier for Adam",
        ),
        Entry("jax-scan", INFORMATION, "jax_code:scan", ("jax",), "50 steps a call in lax.scan"),
        Entry(
            "torch-buffers",
            INFORMATION,
            "torch_code:buffers",
            ("torch",),
            "torch-manual with out= everywhere; Adam with fused=True",
        ),
        Entry(
            "train-jit",
            INFORMATION,
            "ours:train_native",
            ("chainrule", "llvmlite"),
            "NeuralNetwork.train with jit, an epoch: batches, history and progress included",
        ),
        Entry(
            "train-plain",
            INFORMATION,
            "ours:train_plain",
            ("chainrule",),
            "the same, as installed plainly",
        ),
    )
}


def in_group(*groups: str) -> list[str]:
    """Return the names of the contestants of these groups, as the table has them.

    Examples
    --------
    >>> in_group(FLOOR, OURS)
    ['floor', 'jit', 'plain']
    """
    return [name for name, entry in ENTRIES.items() if entry.group in groups]
