"""Fixtures of the benchmarks: a warm, checked pass for pytest-benchmark, and the facts saved with its times."""

import os
import sys
from contextlib import contextmanager
from functools import cache

import pytest

from benchmarks.cases import Case, add_flags, cases, words
from chainrule.backends.numpy import native_is_at_hand
from chainrule.bench import roster
from chainrule.bench.cell_data import cell_data
from chainrule.bench.contestant import UnavailableError
from chainrule.bench.measure import product_precision
from chainrule.bench.measure.check import check
from chainrule.bench.measure.environment import environment
from chainrule.bench.measure.limits import warm_up
from chainrule.program.machine import blas_threads

COLUMNS = ["min", "median", "iqr", "rounds"]  # all of pytest-benchmark's do not fit a terminal
WARM_SECONDS = 0.05
QUICK_SECONDS = "0.1"  # of the rounds of a benchmark


def pytest_addoption(parser):
    add_flags(parser)


def pytest_configure(config):
    for operation in roster.OPERATIONS:
        cases(config, operation)  # an unknown name is an error before anything runs
    if config.getoption("--quick"):
        config.option.benchmark_max_time = QUICK_SECONDS
    environment_at_start()
    if not config.getoption("numprocesses", None):
        config.option.dist = "no"  # pytest-benchmark times nothing where the tests' --dist is set
    config.option.benchmark_columns = config.option.benchmark_columns or COLUMNS
    # Warnings of other libraries, and of pytest-benchmark that there is nothing to compare with yet.
    config.addinivalue_line("filterwarnings", "default")
    # JAX and CUDA read these when they are imported.
    os.environ.update(product_precision.variables())
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if "float64" in words(config, "--dtype"):
        os.environ["JAX_ENABLE_X64"] = "1"


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        operation = metafunc.function.__name__.removeprefix("bench_")
        rows = cases(metafunc.config, operation)
        metafunc.parametrize("case", [pytest.param(case, id=case.name) for case in rows])


@pytest.fixture
def warm_pass(benchmark, case, request):
    """A function that runs one pass; it has been called before, and its result was right."""
    with in_process(case):
        contestant = made(case, words(request.config, "--require-backend"))

        def run():
            result = contestant.run()
            contestant.wait()
            return result

        with contestant.context():
            # The first call compiles. Timed with the others, it would spoil the calibration.
            wrong = check(contestant, run(), cell_data(case.cell))["wrong"]
            if wrong:
                pytest.fail(f"{case.name}: {wrong}", pytrace=False)
            warm_up(contestant, WARM_SECONDS if benchmark.enabled else 0.0)
            benchmark.group = case.group
            yield run
    benchmark.extra_info |= facts(case, contestant.steps)
    if benchmark.stats is not None:  # None with --benchmark-disable
        step = benchmark.stats.stats.median / contestant.steps  # seconds
        benchmark.extra_info["samples_per_second"] = case.cell.batch / step
        benchmark.extra_info["gflop_per_second"] = case.flops / step / 1e9


def facts(case: Case, steps: int) -> dict[str, object]:
    """Return what was timed."""
    return {
        "backend": case.backend,
        "network": "-".join(map(str, case.cell.sizes)),
        "hidden": case.cell.hidden,
        "batch": case.cell.batch,
        "dtype": case.cell.dtype,
        "threads": case.threads,
        "operation": case.operation,
        "steps": steps,  # of a pass
    }


def made(case: Case, required: list[str]):
    """Return the contestant of a case; skip the benchmark, or fail it, where it cannot run here."""
    entry = roster.entry(case.backend)
    reason = f"{' and '.join(entry.missing())} is not installed" if entry.missing() else ""
    if case.threads and entry.library == "jax":
        reason = "JAX fixes its threads when it starts; use chainrule bench run --threads"
    if not reason:
        try:
            return entry.maker()(cell_data(case.cell), case.operation)
        except UnavailableError as why:
            reason = str(why)
    if case.backend in required:
        pytest.fail(f"--require-backend names {case.backend}, but {reason}", pytrace=False)
    return pytest.skip(f"{case.backend}: {reason}")


@contextmanager
def in_process(case: Case):
    """Set the threads of a case, and undo what it changes in this process."""
    native_is_at_hand.cache_clear()  # "numpy" hides llvmlite, which "numpy-jit" needs
    with pytest.MonkeyPatch.context() as patch:
        if case.threads:
            patch.setenv("CHAINRULE_THREADS", str(case.threads))
        try:
            with blas_threads(case.threads or None), torch_settings(case):
                yield
        finally:
            if "llvmlite" in sys.modules and sys.modules["llvmlite"] is None:
                del sys.modules["llvmlite"]
            native_is_at_hand.cache_clear()


@contextmanager
def torch_settings(case: Case):
    """Set PyTorch's own threads; turn its gradients on, which "torch-manual" turns off."""
    if roster.entry(case.backend).missing() or "torch" not in roster.entry(case.backend).needs:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(case.threads or threads)
    with torch.enable_grad():
        yield
    torch.set_num_threads(threads)


def pytest_benchmark_update_machine_info(config, machine_info):
    """Describe the machine by what stays the same, so that two runs on it compare without a warning."""
    machine_info.pop("node", None)
    for clock in ("hz_actual", "hz_actual_friendly"):
        machine_info.get("cpu", {}).pop(clock, None)
    here = environment_at_start()
    gpu = here["gpu"]
    machine_info["chainrule"] = {
        k: v for k, v in here.items() if k not in {"record", "load", "gpu", "id"}
    }
    machine_info["chainrule"]["gpu"] = gpu and {k: gpu[k] for k in ("name", "driver_version")}


@cache
def environment_at_start():
    """Return the environment before a backend adds its libraries to it."""
    return environment()
