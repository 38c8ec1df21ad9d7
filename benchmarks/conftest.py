"""The flags of the benchmarks, their cases, and what is saved beside the times.

A module says whose benchmarks it has (``GROUP``) and of what (``OPERATION``).
"""

import warnings

import pytest
from pytest_benchmark.logger import PytestBenchmarkWarning
from suite.cases import add_flags, cases, words
from suite.stage import CannotRunError, Stage
from suite.timing import timed

from chainrule.bench import roster
from chainrule.bench.measure.crew import QUICK, Care
from chainrule.bench.measure.environment import environment

ENVIRONMENTS = pytest.StashKey[dict[str, dict[str, object]]]()
COLUMNS = ["min", "median", "iqr", "rounds"]


def pytest_addoption(parser):
    add_flags(parser)


def pytest_configure(config):
    for group in (roster.BACKEND, roster.PEER):
        cases(config, group, "step")  # what the flags do not mean is told before anything runs
    config.option.benchmark_columns = config.option.benchmark_columns or COLUMNS
    # What pytest-benchmark says of a comparison (no run to compare with, another machine) is no error.
    warnings.filterwarnings("default", category=PytestBenchmarkWarning)
    category = f"{PytestBenchmarkWarning.__module__}.{PytestBenchmarkWarning.__name__}"
    config.addinivalue_line("filterwarnings", f"default::{category}")


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        module = metafunc.module
        found = cases(metafunc.config, module.GROUP, module.OPERATION)
        metafunc.parametrize("case", [pytest.param(case, id=case.name) for case in found])


@pytest.fixture(scope="session")
def stage(request):
    made = Stage(QUICK if request.config.getoption("--quick") else Care())
    request.config.stash[ENVIRONMENTS] = made.environments
    yield made
    made.end()


@pytest.fixture
def measured(benchmark, stage, case, request):
    """Times the case; what is not there skips it, or fails it where it is required."""

    def measure():
        try:
            timed(benchmark, stage, case, request.module.OPERATION)
        except CannotRunError as why:
            if case.contestant in words(request.config, "require-backend"):
                pytest.fail(f"--require-backend names {case.contestant}, but {why}", pytrace=False)
            pytest.skip(f"{case.contestant}: {why}")
        except RuntimeError as why:
            pytest.fail(f"{case.contestant} in {case.cell.name}: {why}", pytrace=False)

    return measure


def pytest_benchmark_update_machine_info(config, machine_info):
    """Say what machine it is: what stays the same, so that two runs on it compare as of one machine."""
    machine_info.pop("node", None)  # whose it is says nothing of it
    for clock in ("hz_actual", "hz_actual_friendly"):
        machine_info.get("cpu", {}).pop(clock, None)
    found = environment()
    gpu = found["gpu"]
    here = {key: value for key, value in found.items() if key not in {"record", "load", "gpu"}}
    machine_info["chainrule"] = here | {"gpu": gpu and {k: gpu[k] for k in ("name", "driver_version")}}


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Add what each process ran on: its own libraries and their threads; the load, the GPU's clocks."""
    output_json["environments"] = config.stash.get(ENVIRONMENTS, {})
