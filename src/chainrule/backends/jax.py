"""JAX: the step is compiled with ``jit``, and XLA overwrites its parameters and state (they are donated)."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as xp
import numpy as np

from chainrule.backends.base import Availability, Backend, BackendUnavailableError, Forward
from chainrule.mathematics.naming import refusing, require
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
        remedy = "set the environment variable JAX_ENABLE_X64=1, or give dtype='float32'"
        problem = f"JAX computes float64 in float32 by default; {remedy}"
        require(dtype != "float64" or self.default_dtype == dtype, problem)

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
        limit, used = memory.get("bytes_limit"), memory.get("bytes_in_use", 0)
        return None if limit is None else int(limit - used)

    def engine(self, work: Work) -> Engine:
        """Return the fastest engine: an epoch of steps, compiled as one loop."""
        return Scan(work, self.asarray)

    def pack(self, works: Sequence[Work], threads: int) -> Pack | None:
        """Return a compiled loop over several runs; ``None`` for full batches, whose bits it would change."""
        return None if works[0].is_one_batch else ScanPack(works, threads, self.asarray)

    def compiled_parts(self, step: Step) -> Any:
        """Return a step whose ``part`` and ``finish`` are compiled, once for equal steps."""
        return _compiled_parts(step)

    def predict(self, forward: Forward, theta: jax.Array, X: jax.Array) -> jax.Array:
        """Return the outputs ``forward(theta, X)``, of shape (n, n_out), compiled once for each number of rows."""
        return super().predict(_compiled(forward), theta, X)

    def autodiff(self, function: Callable[[jax.Array], jax.Array], theta: jax.Array) -> jax.Array:
        """Return the derivative of ``function`` at ``theta``, (P,), by ``jax.grad``."""
        return jax.grad(function)(theta)

    def describe(self) -> str:
        """Return "jax:cpu:0", "jax:gpu:0", ..."""
        return f"jax:{self.device.platform}:{self.device.id}"


@lru_cache(maxsize=32)
def _compiled_parts(step: Step) -> Any:
    part = jax.jit(step.part, static_argnums=(3, 4))  # the numbers of rows
    return SimpleNamespace(whole=step.whole, part=part, finish=jax.jit(step.finish))


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
    problem = f"backend 'jax:{device}' cannot be used here: {{}}; try backend='jax:cpu'"
    with refusing((RuntimeError, IndexError, ValueError), problem, BackendUnavailableError):
        return JaxBackend("jax", xp, jax.devices(platform or None)[int(number or 0)])


def of(array: jax.Array) -> JaxBackend:
    """Return the backend of an array."""
    return JaxBackend("jax", xp, next(iter(array.devices())))


def probe() -> Availability:
    """Return the availability of this backend, after a computation on its first device."""
    xp.ones(1).block_until_ready()
    devices = tuple(f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.devices())
    return Availability("jax", usable=True, version=jax.__version__, devices=devices)
