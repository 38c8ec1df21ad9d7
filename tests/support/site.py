"""The documentation site, built with warnings as errors."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from support.needs import absent

ROOT = Path(__file__).parents[2]
REPOSITORY = "someone/chainrule"
SITE = ROOT / "build" / "site"


@pytest.fixture(scope="session")
def site():
    """Build the site and return its folder, without pages of an earlier build."""
    if find_spec("furo") is None:
        absent("browser", "Sphinx and its theme are not installed (dependency group 'docs')")
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "docs", str(SITE)]
    here = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),  # also for the process of the notebook
        "GITHUB_REPOSITORY": REPOSITORY,  # so that the badges are shown
    }
    done = subprocess.run(command, cwd=ROOT, env=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return SITE
