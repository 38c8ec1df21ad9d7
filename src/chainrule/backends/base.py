"""The base class of backends: creating arrays, waiting for results, and running steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import Array, Namespace
from chainrule.program.engine import Engine, Plain, Step, Work, bounds

if TYPE_CHECKING:
    from chainrule.program.engine import Pack
    from chainrule.program.kernels import Kernels
    from chainrule.program.plan import Plan

PlanOf = Callable[[int], "Plan"]  # of a step, by the rows of its batch
Forward = Callable[[Array, Array], Array]  # theta (P,), X (n, n_in) -> A (n, n_out)
BLOCK = 8192  # rows; bounds the memory of a forward pass over any number of them


class BackendUnavailableError(RuntimeError):
    """A backend that was asked for cannot be used here; the message says why and what would help."""


class Availability(NamedTuple):
    """Whether a backend can be used here, found out by using its device and not by importing it."""

    name: str
    usable: bool
    version: str | None = None
    devices: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Backend:
    """An array library and one of its devices.

    Two backends are equal where arrays of the one can be used with arrays of the other.

    Examples
    --------
    >>> from chainrule import backends
    >>> room = backends.named("numpy")
    >>> room.asarray([1, 2], "float32")
    array([1., 2.], dtype=float32)
    >>> room.describe(), room.default_dtype
    ('numpy', 'float64')
    """

    name: str
    xp: Namespace = field(compare=False, repr=False)
    device: Any = None
    plans: ClassVar[bool] = False  # whether a step runs in memory that was planned

    def __reduce__(self) -> tuple[Any, ...]:
        # Modules cannot be pickled: the library and the device are looked up again by their names.
        return import_module(__package__).named, (self.describe(),)

    @property
    def default_dtype(self) -> str:
        """The widest floating-point dtype that the device computes in."""
        return "float64"

    @property
    def own_bytes(self) -> int:
        """The memory that a run takes besides its arrays, in bytes."""
        return 0

    @property
    def places(self) -> int:
        """The number of batches in memory at the same time if the data stay on the host: see :meth:`holder`."""
        return 1

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the precision of this backend."""
        return ()

    def planned(self, plan: "Plan") -> "Plan":
        """Return the plan of a step as it runs here."""
        return plan

    def scratch_bytes(self, plan_of: PlanOf, rows: int, _steps: int, _threads: int | None) -> int:
        """Return the memory that steps on batches of ``rows`` rows take between their inputs and outputs."""
        plan = plan_of(rows)
        return plan.constant_bytes + plan.scratch_bytes

    def available_bytes(self) -> int | None:
        """Return the free memory of the device in bytes; ``None`` if it is unknown."""
        return None

    def check_dtype(self, dtype: str) -> None:
        """Refuse a dtype that the device does not compute in.

        Raises
        ------
        ValueError
            If it does not compute in ``dtype``.
        """
        if hasattr(self.xp, dtype):
            return
        msg = f"{self.describe()} has no {dtype}; give dtype='float32', or another backend"
        raise ValueError(msg)

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return host data or an array of this backend as an array of it, on its device."""
        return self.xp.asarray(x, dtype=self.dtype(dtype), device=self.device)

    def dtype(self, given: Any) -> Any:
        """Return the library's dtype with this name; a dtype, or ``None``, is returned unchanged."""
        return getattr(self.xp, given) if isinstance(given, str) else given

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return a copy of ``array`` on the host, or a view if it is there; bfloat16 becomes float32."""
        host = np.asarray(array)
        return host.astype(np.float32) if host.dtype.name == "bfloat16" else host

    def synchronize(self, result: Array) -> None:
        """Wait until ``result`` has been computed."""

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine of this backend; the plain step by default."""
        return self.plain(work)

    def plain(self, work: Work) -> Engine:
        """Return the engine that runs the step as it is written."""
        return Plain(work, self.asarray, self.to_numpy)

    def pack(self, works: Sequence[Work], threads: int) -> "Pack | None":
        """Return an engine for several runs of equal shapes together; ``None`` if there is none."""
        del works, threads
        return None

    def kernels(self, work: Work) -> "Kernels | None":
        """Return the kernels for row blocks; ``None`` if this backend does not use row blocks."""
        del work
        return None

    def compiled_parts(self, step: Step) -> Step:
        """Return the step with ``part`` and ``finish`` compiled, if the backend compiles functions."""
        return step

    def predict(self, forward: Forward, theta: Array, X: Array) -> Array:
        """Return ``forward(theta, X)`` for any number of rows, a block of them at a time."""
        n = X.shape[0]
        if n <= BLOCK:
            return forward(theta, self.near(X))
        # bounds() keeps inside X: the standard says nothing of slices that end beyond it.
        parts = [forward(theta, self.near(X[start:stop, :])) for start, stop in bounds(n, BLOCK)]
        return self.xp.concat(parts, axis=0)

    def holder(self, nbytes: int) -> "Backend":
        """Return the backend that holds ``nbytes`` bytes of training data: this one, or one with room for them."""
        del nbytes
        return self

    def streams(self, x: Array) -> bool:
        """Return whether data were left on the host, to come here batch by batch."""
        del x
        return False

    def near(self, x: Array) -> Array:
        """Return data as an array of this backend: as they are, unless they were left on the host."""
        return x

    def autodiff(self, function: Callable[[Array], Array], theta: Array) -> Array:
        """Return the derivative ``(P,)`` of ``function(theta) -> ()``, taken by the library itself.

        Raises
        ------
        NotImplementedError
            If the library takes no derivatives.
        """
        del function, theta
        msg = f"{self.name} takes no derivatives by itself; torch and jax do"
        raise NotImplementedError(msg)

    def copy(self, array: Array, out: Array | None = None) -> Array:
        """Return an array of the same values that shares no memory with ``array``.

        A backend whose arrays can be written to may write them to ``out``.
        """
        del out
        return self.xp.asarray(array, copy=True)

    def quiet(self) -> Any:
        """Return a context in which floating-point overflow warns nobody: training checks the loss."""
        return np.errstate(all="ignore")

    def describe(self) -> str:
        """Return the name for messages, with the device if there are several."""
        return self.name if self.device is None else f"{self.name}:{self.device}"
