"""A pass over some batches, timed by pytest-benchmark; which backends and networks, the flags say.

See "Benchmarks" in CONTRIBUTING.md for the flags, and for what a pass of each kind does.
"""


def bench_step(benchmark, warm_pass):
    """Training steps, one on each batch of the pass."""
    benchmark(warm_pass)


def bench_forward(benchmark, warm_pass):
    """Forward passes, one over each batch."""
    benchmark(warm_pass)


def bench_epoch(benchmark, warm_pass):
    """One call of ``train`` for one epoch, which draws its batches and keeps a history."""
    benchmark(warm_pass)


def bench_transfer(benchmark, warm_pass):
    """Each batch gathered on the host and copied to the backend."""
    benchmark(warm_pass)
