"""Optional libraries, compilers and browsers that tests need.

``@pytest.mark.needs("torch")`` skips a test if the library is not installed, and the summary has one line for each
reason with the number of skips. ``REQUIRE_BACKEND`` and ``REQUIRE_EXTRA`` (names, with commas) turn skips
for the named libraries into failures, so that a session with them cannot pass by skipping.
``pytest --needs torch`` runs only the tests that need torch, and those marked ``uses("torch")``, which run differently
without it.
"""

import os
from collections import Counter
from importlib.util import find_spec

import pytest

EXTRAS = {
    "jit": "llvmlite",
    "notebook": "nbclient",
    "plots": "matplotlib",
    "data": "polars",
    "mpi": "mpi4py",
}


def library(name):
    """Return the library of an extra; any other name is that of a library."""
    return EXTRAS.get(name, name)


def need(name, *, module=False):
    """Skip the test, or with ``module`` the whole file, unless the library is installed.

    Returns the mark of the tests that need it, for a file's ``pytestmark``.
    """
    if find_spec(library(name)) is None:
        absent(name, f"{library(name)} is not installed", module=module)
    return pytest.mark.needs(name)


def absent(name, reason, *, module=False):
    """Skip the test, or with ``module`` the whole file; fail where the name is required."""
    for variable in ("REQUIRE_BACKEND", "REQUIRE_EXTRA"):
        if library(name) in map(library, os.environ.get(variable, "").split(",")):
            pytest.fail(f"{variable} names {name}, but {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=module)


def pytest_addoption(parser):
    parser.addoption("--needs", metavar="NAMES", help="run only the tests that need these libraries")


def pytest_collection_modifyitems(config, items):
    if config.option.needs:
        wanted = set(map(library, config.option.needs.split(",")))
        left_out = [item for item in items if not wanted & named(item, "needs", "uses")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def named(item, *marks):
    """Return the libraries that these marks of a test name."""
    return {library(name) for m in marks for mark in item.iter_markers(m) for name in mark.args}


def pytest_runtest_setup(item):
    for name in sorted(named(item, "needs")):
        need(name)


def pytest_terminal_summary(terminalreporter):
    """Write a line for each reason that tests were skipped for; ``-rs`` would write one for each place."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"SKIPPED [{count}] {reason}")
