"""Many small networks at once: train_many beside a loop over train, torch.func.vmap and jax.vmap.

    python benchmarks/many_networks.py [--members 2 8 32] [--rows 1024] [--rounds 5] [--epochs 20]

64-64-10, relu and cross entropy, float32, batches of 32 rows, plain gradient descent; each member has its own start and its own
order of the rows. Prints microseconds for a step of one member: the median over rounds in which all take turns.
PyTorch runs `vmap(grad(loss))` once a step, JAX one jitted scan over an epoch of `vmap` of the step. Those that are not installed
are left out.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from chainrule import NeuralNetwork, train_many

BATCH, RATE = 32, 0.05
Run = Callable[[], object]


def networks(count: int) -> list[NeuralNetwork]:
    made = partial(NeuralNetwork, 64, 64, 10, activation="relu", loss="cross_entropy", dtype="float32")
    return [made(seed=number) for number in range(count)]


def ours(count: int, X: np.ndarray, y: np.ndarray, epochs: int) -> dict[str, Run]:
    given = {"epochs": epochs, "learning_rate": RATE, "batch_size": BATCH}

    def loop(threads: int | None) -> None:
        for net in networks(count):
            net.train(X, y, threads=threads, progress=False, **given)

    return {
        "train_many": lambda: train_many(networks(count), X, y, **given),
        "train, 1 thread": lambda: loop(1),
        "train": lambda: loop(None),
    }


def orders(count: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.permutation(rows) for _ in range(count)])  # (K, n)


def starts(count: int) -> tuple[list[np.ndarray], ...]:
    layers = [
        [part.astype(np.float32) for W, b in net.layers for part in (W, b[0])] for net in networks(count)
    ]
    return tuple(list(parts) for parts in zip(*layers, strict=True))  # W1, b1, W2, b2 of each


def with_torch(count: int, X: np.ndarray, y: np.ndarray, epochs: int) -> Run:
    import torch
    from torch.func import grad, vmap

    data, labels = torch.from_numpy(X), torch.from_numpy(y)

    def loss(params: tuple[torch.Tensor, ...], x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        W1, b1, W2, b2 = params
        return torch.nn.functional.cross_entropy(torch.relu(x @ W1 + b1) @ W2 + b2, t)

    gradients = vmap(grad(loss))

    def run() -> None:
        params = tuple(torch.from_numpy(np.stack(parts)) for parts in starts(count))
        for _ in range(epochs):
            order = torch.from_numpy(orders(count, len(X)))  # (K, n)
            for start in range(0, len(X), BATCH):
                rows = order[:, start : start + BATCH]  # (K, batch)
                torch._foreach_add_(params, gradients(params, data[rows], labels[rows]), alpha=-RATE)

    return run


def with_jax(count: int, X: np.ndarray, y: np.ndarray, epochs: int) -> Run:
    import jax
    import jax.numpy as jnp

    data, labels = jnp.asarray(X), jnp.asarray(y)

    def loss(params: tuple[jax.Array, ...], x: jax.Array, t: jax.Array) -> jax.Array:
        W1, b1, W2, b2 = params
        Z = jax.nn.log_softmax(jax.nn.relu(x @ W1 + b1) @ W2 + b2)
        return -jnp.take_along_axis(Z, t[:, None], axis=1).mean()

    def step(params: tuple[jax.Array, ...], rows: jax.Array) -> tuple[jax.Array, ...]:
        g = jax.grad(loss)(params, data[rows], labels[rows])
        return tuple(p - RATE * d for p, d in zip(params, g, strict=True))

    @jax.jit
    def epoch(params: tuple[jax.Array, ...], order: jax.Array) -> tuple[jax.Array, ...]:
        batches = order.reshape(count, -1, BATCH).swapaxes(0, 1)  # (steps, K, batch)
        return jax.lax.scan(lambda p, rows: (jax.vmap(step)(p, rows), None), params, batches)[0]

    def run() -> None:
        params = tuple(jnp.asarray(np.stack(parts)) for parts in starts(count))
        for _ in range(epochs):
            params = epoch(params, jnp.asarray(orders(count, len(X))))
        jax.block_until_ready(params)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, nargs="+", default=[2, 8, 32, 128, 256])
    for name, default in (("rows", 1024), ("rounds", 5), ("epochs", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    X = rng.standard_normal((asked.rows, 64)).astype(np.float32)  # (n, 64)
    y = rng.integers(0, 10, asked.rows)  # (n,)
    for count in asked.members:
        runs = ours(count, X, y, asked.epochs)
        for name, make in (("torch.func.vmap", with_torch), ("jax.vmap", with_jax)):
            try:
                runs[name] = make(count, X, y, asked.epochs)
            except ImportError:
                continue
        times: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(asked.rounds + 1):
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                if number:  # the first compiles
                    times[name].append(time.perf_counter() - began)
        steps = count * asked.epochs * (asked.rows // BATCH)
        shown = (f"{name} {1e6 * statistics.median(t) / steps:.2f}" for name, t in times.items())
        print(f"{count} members, µs for a step of one: {', '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
