"""`--plots FOLDER`: which pictures are written, what is said of them, what is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from support.commands import refused

CLASSES = {"history", "confusion-held-out", "gradient-flow", "network", "decision-boundary"}
QUANTITY = {"history", "predictions-held-out", "gradient-flow", "network", "decision-boundary"}


FLOWERS = "train flowers.npz --target kind --hidden 4 --epochs 2 -o m.safetensors "


@pytest.fixture(autouse=True)
def _tables(tmp_path):
    rng = np.random.default_rng(0)
    width, height = rng.normal(size=(2, 60))
    kind = np.where(width > 0, "lily", "rose")
    np.savez(tmp_path / "flowers.npz", width=width, height=height, kind=kind)
    np.savez(tmp_path / "prices.npz", width=width, height=height, price=1000 + 50 * width)


@pytest.fixture
def _quick(monkeypatch):
    """Write an empty picture for each: what the pictures show is tested in tests/plots."""
    monkeypatch.setattr("chainrule.plots.save", lambda _, path: path.write_bytes(b"\x89PNG") and path)


def written(folder):
    files = sorted(Path(folder).iterdir())
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)
    return {file.stem for file in files}


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("train prices.npz --target price --hidden 4 --epochs 2 -o m.safetensors ", QUANTITY),
        (FLOWERS + "--held-out 0 ", CLASSES - {"confusion-held-out"} | {"confusion-training"}),
        (
            "train digits --target digit --hidden 8 --epochs 1 -o m.safetensors ",
            {"history", "confusion-held-out", "gradient-flow"},
        ),
    ],
    ids=["a quantity", "nothing held out", "many features"],
)
def test_train_writes_the_pictures_that_fit(chainrule, words, wanted):
    result = chainrule(words + "--plots out")
    assert result.exit_code == 0, result.stderr
    assert written("out") == wanted
    assert all(f"wrote {Path('out', name)}.png\n" in result.stdout for name in wanted)
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_json_lists_the_files_pictures_of_an_earlier_run_are_replaced_and_other_files_kept(chainrule):
    Path("out").mkdir()
    Path("out/notes.txt").write_text("mine")
    Path("out/history.png").write_text("old")
    files = json.loads(chainrule(FLOWERS + "--json --plots out").stdout)["plots"]
    assert {Path(file).stem for file in files} == CLASSES
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in files)
    assert Path("out/notes.txt").read_text() == "mine"
    assert "plots" not in json.loads(chainrule(FLOWERS + "--json").stdout)


def test_a_folder_that_cannot_be_is_refused_before_training(chainrule, monkeypatch):
    refused(
        chainrule(f"{FLOWERS} --plots flowers.npz"), "flowers.npz is a file; give the name of a folder"
    )
    refused(chainrule(f"{FLOWERS} --plots none/out"), "to write out into; make it first")
    Path("out").mkdir()
    usual = os.access

    def access(path, right):
        return (Path(path).name != "out" or right != os.W_OK) and usual(path, right)

    monkeypatch.setattr(os, "access", access)
    message = "the folder out is not writable; choose another place"
    refused(chainrule(f"{FLOWERS} --plots out"), message)


def test_without_matplotlib_one_line_says_what_to_install_and_all_else_works(
    chainrule, without_matplotlib
):
    message = "pictures need matplotlib; pip install '.[plots]' in a clone"
    refused(chainrule(f"{FLOWERS} --plots out"), message)
    assert not Path("out").exists()
    assert chainrule(FLOWERS).exit_code == 0


@pytest.mark.usefixtures("_quick")
def test_training_stopped_before_its_first_epoch_leaves_out_the_history(chainrule, monkeypatch):
    from chainrule.training import run as training

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training.TrainingRun, "_epochs", interrupted)
    result = chainrule(FLOWERS + "--plots out")
    assert result.exit_code == 0, result.stderr
    assert written("out") == CLASSES - {"history"}
