"""The flags of the benchmarks, their cases, and what is saved beside the times.

A module says whose benchmarks it has (``GROUP``) and of what (``OPERATION``).
"""

import pytest
from suite.cases import add_flags, cases, words
from suite.stage import CannotRunError, Stage
from suite.timing import timed

from chainrule.bench import roster
from chainrule.bench.crew import QUICK, Care
from chainrule.bench.environment import environment

COLUMNS = ["min", "median", "iqr", "rounds"]


def pytest_addoption(parser):
    add_flags(parser)


def pytest_configure(config):
    for name in words(config, "require-backend"):
        try:
            roster.entry(name)
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
    config.option.benchmark_columns = config.option.benchmark_columns or COLUMNS


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


ENVIRONMENTS = pytest.StashKey[dict[str, dict[str, object]]]()


def pytest_benchmark_update_machine_info(config, machine_info):
    machine_info.pop("node", None)  # whose machine it is says nothing of it
    machine_info["chainrule"] = environment()


def pytest_benchmark_update_json(config, benchmarks, output_json):
    # Each process loaded libraries of its own, with threads of their own.
    output_json["environments"] = config.stash.get(ENVIRONMENTS, {})
