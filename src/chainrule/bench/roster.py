"""The roster: who can take part, what each needs installed, and what the tables say of it."""

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from chainrule.bench.measure.environment import gpu
from chainrule.mathematics.naming import nearest

# A floor computes the step's matrix products alone; a backend is ours; a peer is anybody else.
FLOOR, BACKEND, PEER = "floor", "backend", "peer"
# A training step; a forward pass; an epoch of `train`, its batches drawn and its history kept; a step
# whose batch is copied from the host.
OPERATIONS = ("step", "forward", "epoch", "transfer")


class Entry(NamedTuple):
    """One contestant: what it is, where its code stands, what it needs, what a table says of it."""

    name: str
    group: str
    library: str  # whose arrays it computes with; the floor of the same library is its floor
    code: str  # module:function, which makes a Contestant of a Problem and an operation
    needs: tuple[str, ...]
    says: str
    operations: tuple[str, ...] = ("step",)
    is_tuned: bool = False  # a peer written by somebody who knows its tricks
    is_slow_to_make: bool = False  # it compiles for seconds in every cell: only when asked for by name

    def missing(self) -> list[str]:
        """Return what it needs and is not installed."""
        return [name for name in self.needs if find_spec(name) is None]

    @property
    def is_at_hand(self) -> bool:
        """Whether what it needs is installed and, as far as the driver says, its device is there."""
        return not self.missing() and (self.device == "cpu" or gpu() is not None)

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return "cuda" if self.library in {"cupy", "torch-cuda", "jax-cuda"} else "cpu"

    def maker(self) -> Callable[[Any, str], Any]:
        """Return the function that makes it."""
        module, function = self.code.split(":")
        room = module if self.name == self.code else f"chainrule.bench.{module}"
        found: Callable[[Any, str], Any] = getattr(import_module(room), function)
        return found


def _floor(library: str, needs: str, says: str) -> Entry:
    return Entry(
        f"floor-{library}",
        FLOOR,
        library,
        f"contestants.products:{needs}",
        (needs,),
        says,
        ("step", "forward"),
    )


def _backend(name: str, library: str, needs: tuple[str, ...], says: str) -> Entry:
    function = name.replace("-", "_")
    return Entry(name, BACKEND, library, f"contestants.ours:{function}", needs, says, OPERATIONS)


def _on_cuda(name: str, function: str, says: str, *, is_slow: bool = False) -> Entry:
    is_tuned = name != "torch-cuda-eager"
    code = f"contestants.pytorch:{function}"
    return Entry(name, PEER, "torch-cuda", code, ("torch",), says, ("step",), is_tuned, is_slow)


ROSTER = {
    entry.name: entry
    for entry in (
        _floor("numpy", "numpy", "the step's matrix products alone, np.dot(out=)"),
        _floor("torch", "torch", "the same, torch.matmul(out=)"),
        _floor("jax", "jax", "the same, one compiled function"),
        _floor("cupy", "cupy", "the same, one CUDA graph of as many steps as ours"),
        _floor("torch-cuda", "torch", "the same, torch.matmul(out=) on a CUDA device"),
        _backend("numpy", "numpy", ("numpy",), "chainrule on NumPy, as installed plainly"),
        _backend("numpy-jit", "numpy", ("numpy", "llvmlite"), "chainrule on NumPy with the extra jit"),
        _backend("torch", "torch", ("torch",), "chainrule on PyTorch's arrays"),
        _backend("jax", "jax", ("jax",), "chainrule on JAX's arrays"),
        _backend("cupy", "cupy", ("cupy",), "chainrule on CuPy's arrays"),
        _backend(
            "torch-cuda", "torch-cuda", ("torch",), "chainrule on PyTorch's arrays on a CUDA device"
        ),
        Entry(
            "cupy-plain",
            PEER,
            "cupy",
            "contestants.ours:cupy_plain",
            ("cupy",),
            "the same source on CuPy, operation by operation, as train(compile=False) runs it",
        ),
        Entry(
            "notebook",
            PEER,
            "numpy",
            "contestants.notebook:notebook",
            ("numpy",),
            "the equations in plain NumPy, sigmoid as 1/(1+exp(-x))",
        ),
        Entry(
            "sklearn",
            PEER,
            "numpy",
            "contestants.scikit_learn:partial_fit",
            ("sklearn",),
            "scikit-learn: partial_fit over the batches, no momentum, no penalty, no shuffling",
        ),
        Entry(
            "torch-eager",
            PEER,
            "torch",
            "contestants.pytorch:eager",
            ("torch",),
            "PyTorch: nn.Linear, autograd, SGD or Adam with foreach=True",
            ("step", "forward"),
        ),
        Entry(
            "torch-manual",
            PEER,
            "torch",
            "contestants.pytorch:manual",
            ("torch",),
            "PyTorch: the derivatives written out, no autograd, in place where it can be",
            is_tuned=True,
        ),
        Entry(
            "torch-compile",
            PEER,
            "torch",
            "contestants.pytorch:compiled",
            ("torch",),
            "PyTorch: the loss and its gradient through torch.compile, SGD or Adam with foreach=True",
            is_tuned=True,
            is_slow_to_make=True,
        ),
        _on_cuda(
            "torch-cuda-eager",
            "eager_cuda",
            "PyTorch on a CUDA device: autograd, SGD or Adam, foreach=True",
        ),
        _on_cuda("torch-cuda-compile", "compiled_cuda", "the same, through torch.compile", is_slow=True),
        _on_cuda(
            "torch-cuda-reduce-overhead",
            "reduced_cuda",
            "the same, through torch.compile(mode='reduce-overhead')",
            is_slow=True,
        ),
        _on_cuda(
            "torch-cuda-graph", "graph", "PyTorch: the whole step, optimiser included, in one CUDA graph"
        ),
        Entry(
            "jax-jit",
            PEER,
            "jax",
            "contestants.jax:jit",
            ("jax",),
            "JAX: jax.jit of a step, parameters donated",
            ("step", "forward"),
        ),
        Entry(
            "jax-scan",
            PEER,
            "jax",
            "contestants.jax:scan",
            ("jax",),
            "JAX: lax.scan over the batches, one call for all of them",
            is_tuned=True,
        ),
    )
}


def of(*groups: str, operation: str = "step") -> list[str]:
    """Return the names of the contestants of these groups that can do the operation.

    Examples
    --------
    >>> of(BACKEND, operation="epoch")
    ['numpy', 'numpy-jit', 'torch', 'jax', 'cupy', 'torch-cuda']
    """
    return [
        name for name, entry in ROSTER.items() if entry.group in groups and operation in entry.operations
    ]


def entry(name: str) -> Entry:
    """Return the contestant of this name.

    ``module:function`` names one of your own: the function takes a ``Problem`` and an operation, and
    returns a ``Contestant``.

    Raises
    ------
    ValueError
        If there is none; the message gives the nearest one.

    Examples
    --------
    >>> entry("numpy-jit").library, entry("mine.step:fast").group
    ('numpy', 'peer')
    """
    if name.count(":") == 1:
        return Entry(name, PEER, "numpy", name, (), "a contestant of your own", OPERATIONS)
    if name not in ROSTER:
        msg = f"unknown contestant {name!r}{nearest(name, list(ROSTER))} (known: {', '.join(ROSTER)})"
        raise ValueError(msg)
    return ROSTER[name]


def with_floors(names: Iterable[str]) -> list[str]:
    """Return the contestants, and before them the floor of each library that they compute with.

    Examples
    --------
    >>> with_floors(["numpy", "notebook", "jax"])
    ['floor-numpy', 'floor-jax', 'numpy', 'notebook', 'jax']
    """
    chosen = list(dict.fromkeys(names))
    floors = [floor_of(name) for name in chosen]
    return list(dict.fromkeys([*filter(None, floors), *chosen]))


def floor_of(name: str) -> str | None:
    """Return the floor that a contestant is measured against, if there is one."""
    floor = f"floor-{entry(name).library}"
    return floor if floor in ROSTER else None
