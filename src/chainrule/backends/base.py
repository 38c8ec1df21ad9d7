"""The base class of backends: it makes arrays, waits for results, and runs steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from chainrule.mathematics.arrays import Array, Namespace
from chainrule.mathematics.naming import require
from chainrule.program.engine import Engine, Plain, Step, Work, bounds

if TYPE_CHECKING:
    from chainrule.program.engine import Pack
    from chainrule.program.kernels import Kernels
    from chainrule.program.plan import Plan

PlanOf = Callable[[int], "Plan"]  # from the number of rows of a batch to the plan of its step
Forward = Callable[[Array, Array], Array]  # theta (P,), X (n, n_in) -> A (n, n_out)
BLOCK = 8192  # rows; limits the memory of a forward pass over many rows


class BackendUnavailableError(RuntimeError):
    """A requested backend cannot be used here; the message has the reason and the remedy."""


class Availability(NamedTuple):
    """Whether a backend can be used here, according to a computation on its device.

    Attributes
    ----------
    name
        The name of the backend.
    usable
        Whether it can be used.
    version
        The version of its library; ``None`` if it does not import.
    devices
        The names of its devices.
    reason
        Why it cannot be used.
    """

    name: str
    usable: bool
    version: str | None = None
    devices: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Backend:
    """An array library and one of its devices.

    Two backends are equal if their arrays can be used together.

    Attributes
    ----------
    name
        The name of the library.
    xp
        Its namespace, as in the Array API standard.
    device
        The device, as the library names it; ``None`` if there is only one.

    Examples
    --------
    >>> from chainrule import backends
    >>> backend = backends.named("numpy")
    >>> backend.asarray([1, 2], "float32")
    array([1., 2.], dtype=float32)
    >>> backend.describe(), backend.default_dtype
    ('numpy', 'float64')
    """

    name: str
    xp: Namespace = field(compare=False, repr=False)
    device: Any = None
    plans: ClassVar[bool] = False  # whether steps run in planned memory

    def __reduce__(self) -> tuple[Any, ...]:
        # Modules cannot be pickled: unpickling finds the library and the device by their names.
        return import_module(__package__).named, (self.describe(),)

    @property
    def default_dtype(self) -> str:
        """The widest floating-point dtype that the device supports, as "float64"."""
        return "float64"

    @property
    def own_bytes(self) -> int:
        """The memory that a run needs in addition to its arrays, in bytes."""
        return 0

    @property
    def places(self) -> int:
        """The number of batches in memory at the same time, if the data stay on the host: see :meth:`holder`."""
        return 1

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the precision of this backend."""
        return ()

    def planned(self, plan: "Plan") -> "Plan":
        """Return the plan of a step as this backend runs it.

        Parameters
        ----------
        plan : Plan
            The plan of a step, with each operation by itself.

        Returns
        -------
        Plan
            The plan of the same step; ``plan`` itself unless the backend groups operations into kernels.
        """
        return plan

    def scratch_bytes(self, plan_of: PlanOf, rows: int, _steps: int, _threads: int | None) -> int:
        """Return the bytes of memory for intermediate results of steps on batches of ``rows`` rows.

        Parameters
        ----------
        plan_of : function
            Returns the plan of a step, given the number of rows of a batch.
        rows : int
            The number of rows of a batch.
        _steps : int
            The number of steps of the run; used by the backend for NumPy only.
        _threads : int or None
            The number of threads, likewise; ``None``: ``CHAINRULE_THREADS``, or one per core.

        Returns
        -------
        int
            The number of bytes, constants included.
        """
        plan = plan_of(rows)
        return plan.constant_bytes + plan.scratch_bytes

    def available_bytes(self) -> int | None:
        """Return the free memory of the device in bytes; ``None`` if it is unknown.

        Returns
        -------
        int or None
            The number of bytes.
        """
        return None

    def check_dtype(self, dtype: str) -> None:
        """Refuse a dtype that the device does not support.

        Parameters
        ----------
        dtype
            The name of the dtype, such as "float32".

        Raises
        ------
        ValueError
            If it does not support ``dtype``.
        """
        problem = f"{self.describe()} has no {dtype}; give dtype='float32', or another backend"
        require(hasattr(self.xp, dtype), problem)

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return an array on the device of this backend.

        Parameters
        ----------
        x
            Data on the host, or an array of this backend.
        dtype
            The dtype or its name; by default that of ``x``.

        Returns
        -------
        Array
            The array, of the shape of ``x``; it may share memory with ``x``.
        """
        return self.xp.asarray(x, dtype=self.dtype(dtype), device=self.device)

    def dtype(self, name: Any) -> Any:
        """Return the dtype of the library with this name; a dtype or ``None`` is returned unchanged.

        Parameters
        ----------
        name : str, dtype or None
            A name such as "float32", or a dtype of the library.

        Returns
        -------
        dtype or None
            The dtype of the library; ``None`` for ``None``.
        """
        return getattr(self.xp, name) if isinstance(name, str) else name

    def to_numpy(self, array: Array) -> np.ndarray:
        """Return ``array`` on the host as a copy, or as a view if it is there already; bfloat16 becomes float32.

        Parameters
        ----------
        array : Array
            An array of this backend, of any shape.

        Returns
        -------
        numpy.ndarray
            The same values, of the same shape.
        """
        host = np.asarray(array)
        return host.astype(np.float32) if host.dtype.name == "bfloat16" else host

    def synchronize(self, result: Array) -> None:
        """Wait until an array has been computed.

        Parameters
        ----------
        result
            An array of this backend, of any shape.
        """

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine of this backend; the plain step by default.

        Parameters
        ----------
        work : Work
            The steps to run, and their arrays.

        Returns
        -------
        Engine
            An engine that starts from ``work.progress``.
        """
        return self.plain(work)

    def plain(self, work: Work) -> Engine:
        """Return the engine that runs the step as written.

        Parameters
        ----------
        work : Work
            The steps to run, and their arrays.

        Returns
        -------
        Engine
            An engine that starts from ``work.progress``; the reference for all other engines.
        """
        return Plain(work, self)

    def pack(self, works: Sequence[Work], threads: int) -> "Pack | None":  # noqa: ARG002
        """Return an engine that runs several runs of equal shapes together; ``None`` if this backend has none.

        Parameters
        ----------
        works : sequence of Work
            One for each run, with arrays of equal shapes.
        threads : int
            The number of threads; each runs a part of the engines.

        Returns
        -------
        Pack or None
            The engine for all runs.
        """
        return None

    def kernels(self, work: Work) -> "Kernels | None":  # noqa: ARG002
        """Return the kernels for row blocks; ``None`` if this backend does not use row blocks.

        Parameters
        ----------
        work : Work
            The steps to run, and their arrays.

        Returns
        -------
        Kernels or None
            The kernels.
        """
        return None

    def compiled_parts(self, step: Step) -> Step:
        """Return the step with ``part`` and ``finish`` compiled, if the backend compiles functions.

        Parameters
        ----------
        step : Step
            The step as functions of arrays.

        Returns
        -------
        Step
            The same step; ``step`` itself if the backend does not compile functions.
        """
        return step

    def predict(self, forward: Forward, theta: Array, X: Array) -> Array:
        """Return the outputs ``forward(theta, X)``, of shape (n, n_out), for any number of rows, block by block.

        Parameters
        ----------
        forward : function
            Returns the outputs (m, n_out), given the parameters (P,) and m rows (m, n_in).
        theta : Array
            The parameters, (P,).
        X : Array
            The rows, (n, n_in); on the host if the backend streams them.

        Returns
        -------
        Array
            The outputs, (n, n_out), on the device.
        """
        n = X.shape[0]
        if n <= BLOCK:
            return forward(theta, self.near(X))
        # The standard does not define slices that end past X; the slices of bounds() never do.
        parts = [forward(theta, self.near(X[start:stop, :])) for start, stop in bounds(n, BLOCK)]
        return self.xp.concat(parts, axis=0)

    def holder(self, nbytes: int) -> "Backend":  # noqa: ARG002
        """Return the backend that holds ``nbytes`` bytes of training data: this one, or one with enough memory.

        Parameters
        ----------
        nbytes : int
            The size of the training data in bytes.

        Returns
        -------
        Backend
            The backend whose arrays hold the data.
        """
        return self

    def streams(self, x: Array) -> bool:  # noqa: ARG002
        """Return whether data stay on the host and are copied to the device batch by batch.

        Parameters
        ----------
        x : Array
            Data of any shape.

        Returns
        -------
        bool
            ``True`` if ``x`` is on the host and the steps run on another device.
        """
        return False

    def near(self, x: Array) -> Array:
        """Return data as an array on the device: unchanged, unless they are on the host.

        Parameters
        ----------
        x : Array
            Data of any shape, on the device or on the host.

        Returns
        -------
        Array
            The data, of the shape of ``x``, on the device.
        """
        return x

    def autodiff(self, function: Callable[[Array], Array], theta: Array) -> Array:
        """Return a derivative by the library's own automatic differentiation.

        Parameters
        ----------
        function
            Function from the parameters, (P,), to a number, ().
        theta
            The parameters, (P,).

        Returns
        -------
        Array
            The derivative, (P,).

        Raises
        ------
        NotImplementedError
            If the library has no automatic differentiation.
        """
        msg = f"{self.name} has no automatic differentiation; use torch or jax"
        raise NotImplementedError(msg)

    def copy(self, array: Array, out: Array | None = None) -> Array:  # noqa: ARG002
        """Return a copy of ``array`` that shares no memory with it; a backend may write the copy to ``out``.

        Parameters
        ----------
        array : Array
            An array of this backend, of any shape.
        out : Array, optional
            An array of the same shape and dtype, which may be overwritten.

        Returns
        -------
        Array
            The copy, of the shape of ``array``; ``out`` if it was written there.
        """
        return self.xp.asarray(array, copy=True)

    def quiet(self) -> Any:
        """Return a context without warnings of floating-point overflow: training checks the loss itself.

        Returns
        -------
        context manager
            The context, for a ``with`` statement.
        """
        return np.errstate(all="ignore")

    def describe(self) -> str:
        """Return the name for messages, with the device if there are several: "torch:cuda:0".

        Returns
        -------
        str
            The name of the library, and the device after a colon.
        """
        return self.name if self.device is None else f"{self.name}:{self.device}"
