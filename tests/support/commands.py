"""The command line, run in this process in an empty folder, with small tables and models."""

import shutil

import numpy as np
import pytest
from typer.testing import CliRunner


def refused(result, message):
    """Assert that a command ended with exit code 2 and one line that has ``message``."""
    assert result.exit_code == 2
    assert result.stdout == ""
    *progress, line = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert all(line.startswith("epoch ") for line in progress)


@pytest.fixture
def chainrule(tmp_path, monkeypatch):
    """Run a command line in an empty folder, with the output narrow and plain."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAINRULE_BACKEND", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    from chainrule.cli.app import app  # the tests of other rooms do not wait for it

    def run(words, *more):
        return CliRunner().invoke(app, [*words.split(), *map(str, more)])

    return run


@pytest.fixture(scope="session")
def learned(tmp_path_factory):
    """Return a folder with two small tables, one of classes and one of a quantity, and a model of each."""
    from chainrule.cli.app import app

    folder = tmp_path_factory.mktemp("learned")
    rng = np.random.default_rng(0)
    centre = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 500.0]], 40, axis=0)
    width, height = (centre + rng.normal(size=(120, 2)) * [1.0, 50.0]).T
    columns = {"width": width, "kind": np.repeat(["lily", "rose", "tulip"], 40), "height": height}
    write(folder / "flowers.csv", columns)
    size, age = rng.uniform(20, 200, 300), rng.uniform(0, 50, 300)
    columns = {"size": size, "age": age, "price": 250_000 + 3000 * size - 900.5 * age}
    write(folder / "prices.csv", columns)
    for table, target in (("flowers", "kind"), ("prices", "price")):
        words = f"train {folder}/{table}.csv --target {target} -o {folder}/{target}.safetensors"
        words += " --epochs 60 --dropout 0 --weight-decay 0"
        result = CliRunner().invoke(app, words.split())
        assert result.exit_code == 0, result.stderr
        (folder / f"{target}.txt").write_text(result.stdout)
    return folder


def write(path, columns):
    rows = [",".join(map(str, row)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows, ""]), encoding="utf-8")


@pytest.fixture
def flowers(tmp_path, learned):
    """Copy ``flowers.csv`` into the folder and return its text."""
    shutil.copy(learned / "flowers.csv", tmp_path)
    return (tmp_path / "flowers.csv").read_text(encoding="utf-8")


@pytest.fixture
def models(tmp_path, learned, flowers):
    """Copy both tables and both models into the folder: ``kind.safetensors`` and ``price.safetensors``."""
    for name in ("prices.csv", "kind.safetensors", "price.safetensors"):
        shutil.copy(learned / name, tmp_path)
    return flowers
