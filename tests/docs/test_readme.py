"""The README's examples run as they stand, and its commands are commands."""

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chainrule import backends
from chainrule.cli.app import app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
CUDA = 'backend="cupy"'


def run(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAINRULE_BACKEND", raising=False)
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})  # noqa: S102  ours


@pytest.mark.uses("jit")
@pytest.mark.parametrize("example", [e for e in EXAMPLES if CUDA not in e])
def test_python_example_runs(example, tmp_path, monkeypatch, capsys):
    run(example, tmp_path, monkeypatch)
    out = capsys.readouterr().out
    if "right:" in out:
        assert float(out.split("right:")[1]) > 0.95
    else:
        assert "Epoch 0, Loss:0." in out
        assert (tmp_path / "xor.safetensors").exists()


@pytest.mark.parametrize("example", [e for e in EXAMPLES if CUDA in e])
def test_cuda_example_runs_on_numpy_with_only_the_backend_changed(
    example, tmp_path, monkeypatch, capsys
):
    run(example.replace(CUDA, 'backend="numpy"'), tmp_path, monkeypatch)
    assert "[[0." in capsys.readouterr().out


@pytest.mark.gpu
@pytest.mark.parametrize("example", [e for e in EXAMPLES if CUDA in e])
def test_cuda_example_runs_as_it_stands(example, tmp_path, monkeypatch):
    cupy = next(record for record in backends.available() if record.name == "cupy")
    if not cupy.usable:
        assert os.environ.get("REQUIRE_BACKEND") != "cupy", cupy.reason
        pytest.skip(f"no CUDA device for CuPy: {cupy.reason}")
    run(example, tmp_path, monkeypatch)


def test_there_is_one_example_of_each_kind_and_the_first_has_12_lines_at_most():
    assert sum(CUDA in example for example in EXAMPLES) == 1
    assert len(EXAMPLES[0].strip().splitlines()) <= 12


@pytest.mark.uses("jit")
def test_the_commands_that_use_it_run_as_they_stand(tmp_path, monkeypatch):
    pytest.importorskip("polars", reason="Polars reads CSV: install the extra data")
    monkeypatch.chdir(tmp_path)
    lines = [line for block in COMMANDS for line in block.splitlines() if line.startswith("chainrule ")]
    assert len(lines) == 3
    for line in lines:
        words = line.partition("#")[0].split()[1:]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{line}: {result.stderr}"
    assert (tmp_path / "predictions.csv").exists()


def test_set_up_takes_exactly_two_commands():
    set_up = [block for block in COMMANDS if "venv" in block]
    assert [len(block.strip().splitlines()) for block in set_up] == [1, 1]
    assert set_up[0].strip().endswith("chainrule demo")
    assert set_up[1].strip().endswith("python -m pytest -n auto")
