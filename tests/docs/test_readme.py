"""Each example and command of the README runs on its own."""

import re
from pathlib import Path

import pytest

from support.pages import examples, run_python, run_shell

README = Path(__file__).parents[2] / "README.md"
EXAMPLES = examples(README)


@pytest.mark.uses("jit")
def test_examples_and_commands_run_as_they_stand(tmp_path, monkeypatch):
    pytest.importorskip("polars", reason="Polars writes CSV: install the extra data")
    monkeypatch.chdir(tmp_path)
    printed = [
        run_shell(example) if example.language == "shell" else run_python(example, README, {})
        for example in EXAMPLES
    ]
    first, cuda, *_, digits = printed
    assert "Epoch 0, Loss:0." in first
    assert "[[0." in cuda  # on NumPy where there is no device
    assert float(digits.split("right:")[1]) > 0.95
    assert {path.name for path in tmp_path.iterdir()} >= {"xor.safetensors", "predictions.csv"}


def test_there_is_one_example_of_each_kind_and_the_first_has_12_lines_at_most():
    assert [example.language for example in EXAMPLES] == ["python"] * 2 + ["shell"] * 3 + ["python"]
    assert ['backend="cupy"' in example.text for example in EXAMPLES[:2]] == [False, True]
    assert len(EXAMPLES[0].text.strip().splitlines()) <= 12


def test_set_up_takes_exactly_two_commands():
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    demo, tests = (block.strip() for block in blocks if "venv" in block)
    assert len(demo.splitlines()) == len(tests.splitlines()) == 1
    assert demo.endswith("chainrule demo")
    assert tests.endswith("python -m pytest -n auto")
