"""JAX: the step is compiled with ``jit``, and XLA overwrites its parameters and state (they are donated)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as xp
import numpy as np

from chainrule.backends.base import Availability, Backend, BackendUnavailableError, Forward
from chainrule.program import machine
from chainrule.program.engine import Engine, Pack, Step, Work
from chainrule.program.scan import Scan, ScanPack


class JaxBackend(Backend):
    """JAX arrays on one device."""

    plans = True

    @property
    def default_dtype(self) -> str:
        """Float64 with ``JAX_ENABLE_X64=1``, else float32."""
        return "float64" if jax.config.jax_enable_x64 else "float32"

    def check_dtype(self, dtype: str) -> None:
        """Raise ``ValueError`` if JAX would convert float64 to float32."""
        if dtype == "float64" and self.default_dtype != dtype:
            msg = (
                "JAX computes float64 in float32 by default; set the environment variable "
                "JAX_ENABLE_X64=1, or give dtype='float32'"
            )
            raise ValueError(msg)

    def asarray(self, x: Any, dtype: Any = None) -> jax.Array:
        """Return ``x`` as an array on the device."""
        # Convert on the host: JAX would first truncate 64-bit integers to 32 bits.
        array = x if isinstance(x, jax.Array) else np.asarray(x, dtype=self.dtype(dtype))
        # may_alias=False: a jax.Array must not share memory with host data, which may change.
        placed = jax.device_put(array, self.device, may_alias=False)
        return placed if dtype is None else placed.astype(dtype)

    def synchronize(self, result: jax.Array) -> None:
        """Wait until ``result`` has been computed."""
        jax.block_until_ready(result)

    def available_bytes(self) -> int | None:
        """Return the free memory of the device in bytes; ``None`` if it is unknown."""
        if self.device.platform == "cpu":
            return machine.available_bytes()
        memory = self.device.memory_stats() or {}
        return (
            int(memory["bytes_limit"] - memory.get("bytes_in_use", 0))
            if "bytes_limit" in memory
            else None
        )

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine: an epoch of steps, compiled as one loop."""
        return Scan(work, self.asarray)

    def pack(self, works: Sequence[Work], threads: int) -> Pack | None:
        """Return a compiled loop over several runs; ``None`` for full batches, whose bits it would change."""
        return None if works[0].is_one_batch else ScanPack(works, threads, self.asarray)

    def compiled_parts(self, step: Step) -> Step:
        """Return a step whose ``part`` and ``finish`` are compiled, once for equal steps."""
        return CompiledParts(step)

    def predict(self, forward: Forward, theta: jax.Array, X: jax.Array) -> jax.Array:
        """Return the outputs ``forward(theta, X)``, of shape (n, n_out), compiled once for each number of rows."""
        return super().predict(_compiled(forward), theta, X)

    def autodiff(self, function: Callable[[jax.Array], jax.Array], theta: jax.Array) -> jax.Array:
        """Return the derivative of ``function`` at ``theta``, (P,), by ``jax.grad``."""
        return jax.grad(function)(theta)

    def describe(self) -> str:
        """Return "jax:cpu:0", "jax:gpu:0", ..."""
        return f"jax:{self.device.platform}:{self.device.id}"


@dataclass(frozen=True)
class CompiledParts:
    """A step with compiled parts."""

    step: Step

    def whole(self, progress: Any, batch: Any, learning_rate: jax.Array, key: jax.Array | None) -> Any:
        """Run the whole step."""
        return self.step.whole(progress, batch, learning_rate, key)

    @partial(jax.jit, static_argnums=(0, 4, 5))
    def part(
        self, theta: jax.Array, batch: Any, key: jax.Array | None, rows: int, first_row: int
    ) -> Any:
        """Return the loss and the gradient of some rows of a batch."""
        return self.step.part(theta, batch, key, rows, first_row)

    @partial(jax.jit, static_argnums=0)
    def finish(self, progress: Any, g: jax.Array, learning_rate: jax.Array) -> Any:
        """Return the progress after the update by a gradient."""
        return self.step.finish(progress, g, learning_rate)


@lru_cache(maxsize=32)
def _compiled(forward: Forward) -> Forward:
    """Return a forward pass compiled by XLA, or as written if it reads the entries of arrays."""
    compiled = jax.jit(forward)

    def run(theta: jax.Array, X: jax.Array) -> jax.Array:
        try:
            return compiled(theta, X)
        except jax.errors.ConcretizationTypeError:
            return forward(theta, X)

    return run


def make(device: str | None = None) -> JaxBackend:
    """Return the backend; ``device`` is a platform, "cpu" or "gpu", with a number, "gpu:1".

    Raises
    ------
    BackendUnavailableError
        If JAX has no such device.
    """
    platform, _, number = (device or "").partition(":")
    try:
        listed = jax.devices(platform or None)
        return JaxBackend("jax", xp, listed[int(number or 0)])
    except (RuntimeError, IndexError, ValueError) as error:
        why = str(error).partition("\n")[0]
        msg = f"backend 'jax:{device}' cannot be used here: {why}; try backend='jax:cpu'"
        raise BackendUnavailableError(msg) from None


def of(array: jax.Array) -> JaxBackend:
    """Return the backend of an array."""
    return JaxBackend("jax", xp, next(iter(array.devices())))


def probe() -> Availability:
    """Return the availability of this backend, after a computation on its first device."""
    xp.ones(1).block_until_ready()
    devices = tuple(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    return Availability("jax", usable=True, version=jax.__version__, devices=devices)
