"""The command line, as a person meets it."""

import gzip
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule import NeuralNetwork, __version__
from chainrule.cli.app import app
from chainrule.cli.errors import one_line
from chainrule.cli.options import sizes, spread
from chainrule.data import DIGITS

pl = pytest.importorskip("polars", reason="Polars reads CSV and Parquet: install the extra data")


@pytest.fixture
def chainrule(tmp_path, monkeypatch):
    """Run a command line in an empty folder, with the output narrow and plain."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CHAINRULE_BACKEND", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def flowers(tmp_path):
    """A small table that can be learnt: three kinds, two measures that tell them apart."""
    rng = np.random.default_rng(0)
    kind = np.repeat(["lily", "rose", "tulip"], 40)
    centre = np.repeat([[0.0, 0.0], [5.0, 0.0], [0.0, 500.0]], 40, axis=0)
    measures = centre + rng.normal(size=(120, 2)) * [1.0, 50.0]
    frame = pl.DataFrame({"width": measures[:, 0], "kind": kind, "height": measures[:, 1]})
    frame.write_csv(tmp_path / "flowers.csv")
    return frame


@pytest.fixture
def prices(tmp_path):
    """A small table with a quantity to learn, far from 0."""
    rng = np.random.default_rng(0)
    size, age = rng.uniform(20, 200, 300), rng.uniform(0, 50, 300)
    frame = pl.DataFrame({"size": size, "age": age, "price": 250_000 + 3000 * size - 900.5 * age})
    frame.write_csv(tmp_path / "prices.csv")
    return frame


def train(chainrule, table="flowers.csv", target="kind", *more):
    result = chainrule("train", table, "--target", target, "--epochs", 30, "-o", "m.safetensors", *more)
    assert result.exit_code == 0, result.stderr
    return result


# -- train ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_digits_from_csv_reach_97_percent_in_15_seconds_with_progress_shown(chainrule, seed):
    shutil.copy(DIGITS, "digits.csv.gz")
    words = "train digits.csv.gz --target digit --hidden 128 64 --backend numpy -o m.safetensors --json"
    start = time.process_time()  # what others do on the machine is not counted
    result = chainrule(*words.split(), "--seed", seed)
    assert time.process_time() - start < 15
    assert result.exit_code == 0, result.stderr
    outcome = json.loads(result.stdout)
    assert outcome["held_out"]["accuracy"] >= 0.97
    assert outcome["rows"] == {"trained": 1438, "held_out": 359, "left_out": 0}
    assert "epoch 20/20" in result.stderr


def test_classes_are_told_from_text_and_scored(chainrule, flowers):
    result = train(chainrule)
    assert "classification from 2 features (classes: 3), 96 rows" in result.stdout
    assert "held-out accuracy: 100.0 % of 24 rows" in result.stdout
    assert "saved m.safetensors" in result.stdout


def test_a_quantity_is_learnt_scored_and_predicted_in_its_own_units(chainrule, prices):
    result = train(chainrule, "prices.csv", "price", "--json", "--epochs", 100, "--dropout", 0)
    outcome = json.loads(result.stdout)
    assert outcome["task"] == "regression"
    assert outcome["held_out"]["r2"] > 0.99
    assert 0 < outcome["held_out"]["rmse"] < 0.1 * prices["price"].std()
    assert chainrule("predict", "m.safetensors", "prices.csv", "-o", "out.csv").exit_code == 0
    error = pl.read_csv("out.csv")["prediction"] - prices["price"]
    assert error.abs().mean() < 0.1 * prices["price"].std()


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "npz"])
def test_every_kind_of_table_trains(chainrule, flowers, tmp_path, kind):
    path = tmp_path / f"t.{kind}"
    if kind == "npz":
        np.savez(
            path,
            **{name: flowers[name].to_numpy() for name in flowers.columns[::2]},
            kind=flowers["kind"].to_numpy().astype(str),
        )
    elif kind == "parquet":
        flowers.write_parquet(path)
    else:
        text = flowers.write_csv().encode()
        path.write_bytes(text if kind == "csv" else gzip.compress(text))
    assert "held-out accuracy: 100.0 %" in train(chainrule, path).stdout


@pytest.mark.parametrize(
    "words",
    ["--hidden 12 7", "--hidden 12,7", "--hidden 12 --hidden 7", "--hidden=12 7"],
)
def test_widths_of_hidden_layers_may_be_written_in_any_of_these_ways(chainrule, flowers, words):
    result = chainrule(*f"train --target kind {words} flowers.csv --epochs 1 -o m.safetensors".split())
    assert result.exit_code == 0, result.stderr
    assert tuple(NeuralNetwork.load("m.safetensors").architecture.sizes) == (2, 12, 7, 3)


def test_what_follows_the_widths_is_not_taken_for_one():
    assert spread(["--hidden", "8", "--epochs", "5"]) == ["--hidden", "8", "--epochs", "5"]
    assert spread(["--hidden", "8", "--", "9"]) == ["--hidden", "8", "--", "9"]
    assert spread(["9", "--hidden"]) == ["9", "--hidden"]
    with pytest.raises(ValueError, match="--hidden 8 x: wanted whole numbers"):
        sizes(["8", "x"])


def test_options_reach_the_network(chainrule, flowers):
    words = "--activation tanh --dropout 0.1 --weight-decay 0.01 --dtype float64 --seed 3"
    words += " --optimizer momentum --batch-size 16 --learning-rate 0.05"
    train(chainrule, "flowers.csv", "kind", *words.split())
    network = NeuralNetwork.load("m.safetensors")
    assert network.architecture.activations[0].name == "tanh"
    assert network.architecture.dropout == 0.1
    assert network.architecture.weight_decay == 0.01
    assert network.dtype == "float64"


def test_equal_seeds_give_equal_models_and_others_do_not(chainrule, flowers, tmp_path):
    models = []
    for seed in (5, 5, 6):
        train(chainrule, "flowers.csv", "kind", "--seed", seed)
        models.append((tmp_path / "m.safetensors").read_bytes())
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_early_stopping_ends_before_the_epochs_do(chainrule, flowers):
    result = train(chainrule, "flowers.csv", "kind", "--epochs", 500, "--early-stopping", 3, "--json")
    assert json.loads(result.stdout)["epochs"] < 500


def test_nothing_held_out_means_no_score(chainrule, flowers):
    outcome = json.loads(train(chainrule, "flowers.csv", "kind", "--held-out", 0, "--json").stdout)
    assert outcome["held_out"] == {}
    assert outcome["rows"] == {"trained": 120, "held_out": 0, "left_out": 0}


def test_training_that_did_not_learn_says_so(chainrule, flowers):
    words = ["--drop", "kind", "--optimizer", "sgd", "--learning-rate", 100, "--epochs", 2]
    result = train(chainrule, "flowers.csv", "width", *words)
    note = result.stderr.splitlines()[-1]
    assert note.startswith("the loss rose from ")
    assert "learning rate too large" in note
    assert "saved m.safetensors" in result.stdout
    result = train(chainrule, "flowers.csv", "width", *words, "--json")
    assert json.loads(result.stdout)["notes"][-1] == note
    assert train(chainrule).stderr.splitlines()[-1].startswith("epoch 30/30")


def test_ctrl_c_keeps_what_was_learnt(chainrule, flowers, monkeypatch):
    from chainrule.training import loop as training

    shown = []

    def interrupt(run, record):
        shown.append(record)
        if len(shown) == 3:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(training._TrainingRun, "is_over", interrupt)
    result = train(chainrule)
    assert "interrupted; what 3 epochs taught is kept" in result.stdout
    assert NeuralNetwork.load("m.safetensors").metadata["table"]["target"] == "kind"


def test_what_a_column_is_used_for_is_said_before_and_after_training(chainrule, flowers):
    frame = flowers.with_row_index("").with_columns(id=(pl.col("") * 7) % 120)
    frame.write_csv("t.csv")
    looked = chainrule("train", "t.csv", "--target", "kind", "-o", "m", "--dry-run")
    assert looked.exit_code == 0
    lines = [line.split(maxsplit=2) for line in looked.stdout.splitlines()]
    assert [line[0] for line in lines[:5]] == ["''", "'width'", "'kind'", "'height'", "'id'"]
    assert [line[1] for line in lines[:5]] == ["left", "feature", "target", "feature", "feature"]
    assert looked.stdout.splitlines()[-1] == "classification from 3 features (classes: 3), 120 rows"
    assert not Path("m").exists()
    said = train(chainrule, "t.csv").stdout
    assert "left out '': an index" in said
    assert "feature 'id': a whole number that never repeats" in said
    train(chainrule, "t.csv", "kind", "--drop", "id,width")
    assert NeuralNetwork.load("m.safetensors").metadata["table"]["features"] == ["height"]
    refused = chainrule("train", "t.csv", "--target", "width", "-o", "m", "--dry-run")
    assert refused.exit_code == 2
    assert "'kind'    refused   text, 'lily' in row 1" in refused.stdout


def test_rows_with_a_word_for_no_value_are_left_out_on_request(chainrule, flowers):
    text = flowers.write_csv().replace("lily", "NA", 5)
    Path("t.csv").write_text(text, encoding="utf-8")
    refused(chainrule("train", "t.csv", "--target", "kind", "-o", "m"), "row 1 has 'NA' in the target")
    assert (
        "left out 5 rows without a value"
        in train(chainrule, "t.csv", "kind", "--missing", "NA,?").stdout
    )


def test_the_score_of_always_answering_the_commonest_class_stands_beside_the_accuracy(chainrule):
    rng = np.random.default_rng(0)
    rare = np.arange(200) % 20 == 0
    pl.DataFrame({"a": rng.normal(size=200), "y": np.where(rare, "yes", "no")}).write_csv("t.csv")
    assert "% of 40 rows (always the commonest class: 95.0 %)" in train(chainrule, "t.csv", "y").stdout


def test_train_reads_the_digits_and_small_csv_without_polars(chainrule, flowers, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    assert "classes: 10" in train(chainrule, "digits", "digit", "--epochs", 1).stdout
    assert "held-out accuracy: 100.0 %" in train(chainrule).stdout


def test_a_model_is_written_though_nobody_reads_the_progress(flowers, tmp_path):
    words = f"{sys.executable} -m chainrule train flowers.csv --target kind --epochs 40 -o m.safetensors"
    done = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", f"{words} 2>&1 | head -1"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout[:8]) == (0, b"epoch 1/")
    assert NeuralNetwork.load(tmp_path / "m.safetensors").metadata["held_out"]["accuracy"] == 1.0


# -- predict -------------------------------------------------------------------------------------


def test_predictions_are_labels_with_the_probability_of_each(chainrule, flowers):
    train(chainrule)
    result = chainrule("predict", "m.safetensors", "flowers.csv", "-o", "out.csv")
    assert result.exit_code == 0, result.stderr
    assert "wrote out.csv (120 rows)" in result.stdout
    out = pl.read_csv("out.csv")
    assert out.columns == ["prediction", "probability_lily", "probability_rose", "probability_tulip"]
    assert (out["prediction"] == flowers["kind"]).mean() > 0.95
    assert out.drop("prediction").sum_horizontal().to_numpy() == pytest.approx(1, abs=1e-5)


def test_features_are_found_by_name_other_columns_passed_over_and_missing_ones_named(chainrule, flowers):
    train(chainrule)
    straight = chainrule("predict", "m.safetensors", "flowers.csv").stdout
    other = flowers.select("height", pl.lit("text").alias("note"), "width")
    other.write_csv("other.csv")
    assert chainrule("predict", "m.safetensors", "other.csv").stdout == straight
    assert straight.startswith("prediction,probability_lily,")
    for name in ("width", "height"):
        flowers.drop(name).write_csv("other.csv")
        result = chainrule("predict", "m.safetensors", "other.csv", "-o", "out.csv")
        refused(result, f"no column {name!r} for a feature that the model takes")


def test_a_model_made_in_python_says_that_it_knows_no_columns(chainrule, flowers):
    NeuralNetwork(2, 3, 1).save("plain.safetensors")
    refused(chainrule("predict", "plain.safetensors", "flowers.csv"), "not made by chainrule train")


def test_a_label_that_a_spreadsheet_would_compute_is_marked_on_request(chainrule, flowers):
    Path("t.csv").write_text(flowers.write_csv().replace("lily", "=1+1"), encoding="utf-8")
    train(chainrule, "t.csv")
    plain, marked = (
        chainrule("predict", "m.safetensors", "t.csv", *more).stdout for more in ([], ["--spreadsheet"])
    )
    assert plain.splitlines()[1].startswith("=1+1,")
    assert marked == plain.replace("\n=1+1,", "\n'=1+1,")


# -- explain -------------------------------------------------------------------------------------


def test_explain_shows_the_step_of_a_model_in_80_columns(chainrule, flowers):
    train(chainrule)
    result = chainrule("explain", "m.safetensors", "flowers.csv", "--rows", 100)
    assert result.exit_code == 0, result.stderr
    assert "100 rows, cross_entropy, sgd at learning rate 0.1" in result.stdout
    assert "dL/dW1 = (dZ/dW1).T @ dL/dZ1" in result.stdout
    assert "(2, 100) @ (100, 128) -> (2, 128)" in result.stdout
    assert "nothing wrong was found" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("target", ["kind", "price"])
def test_explain_takes_the_targets_as_training_did(chainrule, flowers, prices, target):
    table = {"kind": "flowers.csv", "price": "prices.csv"}[target]
    train(chainrule, table, target, "--dropout", 0, "--weight-decay", 0)
    step = json.loads(chainrule("explain", "m.safetensors", table, "--json").stdout)
    net = NeuralNetwork.load("m.safetensors")
    # A network that has learnt is far from its loss on targets that are not its own.
    assert step["loss"]["before"] < (0.1 if target == "kind" else 0.01)
    assert step["rows"] == len(flowers if target == "kind" else prices)
    assert [update["name"] for update in step["updates"]] == ["W1", "W2", "b1", "b2"]
    assert step["network"].startswith("-".join(map(str, net.architecture.sizes)))


def test_explain_says_what_is_wrong_by_its_exit_code_and_prints_every_form(chainrule, flowers):
    train(chainrule)
    words = ["explain", "m.safetensors", "flowers.csv"]
    healthy = chainrule(*words, "--flags")
    assert (healthy.exit_code, healthy.stdout) == (0, "nothing wrong was found\n")
    wild = chainrule(*words, "--flags", "--learning-rate", 1000)
    assert wild.exit_code == 1
    assert wild.stdout.startswith("learning rate too large, learning_rate=1000: ")
    assert chainrule(*words, "--latex").stdout.startswith("\\begin{align*}\n")
    assert chainrule(*words, "--html").stdout.startswith('<div class="chainrule-step">')
    named, every = (json.loads(chainrule(*words, "--json", *more).stdout) for more in ([], ["--all"]))
    assert len(every["lines"]) > len(named["lines"])
    refused(chainrule(*words, "--json", "--html"), "give one")


def test_explain_names_a_gap_a_label_and_a_column_that_do_not_fit(chainrule, flowers):
    train(chainrule)
    frames = {
        "row 1 ": flowers.with_columns(pl.lit(None).cast(pl.Float64).alias("width")),
        "row 1 has kind 'oak', which the model does not know (lily, rose, tulip)": flowers.with_columns(
            pl.lit("oak").alias("kind")
        ),
        "there is no column 'kind' for the target": flowers.drop("kind"),
    }
    for message, frame in frames.items():
        frame.write_csv("other.csv")
        refused(chainrule("explain", "m.safetensors", "other.csv"), message)


# -- errors --------------------------------------------------------------------------------------


def refused(result, message):
    assert result.exit_code == 2
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    said = lines[-1]
    assert said.startswith("error: ")
    assert message in said
    assert len(lines) == 1 or all(line.startswith("epoch ") for line in lines[:-1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "Missing argument"),
        ("flowers.csv", "Missing option '--target'"),
        ("flowers.csv --target kind", "Missing option '--output'"),
        ("none.csv --target kind -o m", "there is no file none.csv"),
        ("flowers.csv --target kin -o m", "no column 'kin' for the target; did you mean 'kind'?"),
        (
            "flowers.csv --target width -o m",
            "in 'kind' (text, 'lily' in row 1); leave columns out with --drop",
        ),
        ("flowers.csv --target kind --task regression -o m", "column 'kind' has text, 'lily' in row 1"),
        ("flowers.csv --target kind -o flowers.csv", "would be overwritten"),
        ("flowers.csv --target kind -o /dev/null", "a device, a pipe or a stream"),
        ("flowers.csv --target kind --drop hight -o m", "did you mean 'height'?"),
        ("flowers.csv --target kind --features height --encoding x -o m", "unknown encoding 'x'"),
        ("flowers.csv --target kind --separator ab -o m", "give one character"),
        (
            "none.csv --target kind --epochs 0 -o m",
            "for '--epochs': Input should be",
        ),  # before the table
        ("none.csv --target kind --seed -1 -o m", "for '--seed': Input should be"),
        ("none.csv --target kind --optimizer adm -o m", "did you mean 'adam'?"),
        ("flowers.csv --target kind --task regress -o m", "'regress' is not one of"),
        ("flowers.csv --target kind -o none/m", "there is no folder"),
        ("flowers.csv --target kind -o .", "is a folder"),
        ("flowers.csv --target kind --hidden 8 x -o m", "unexpected extra argument"),
        ("flowers.csv --target kind --hidden -8 -o m", "-8"),
        ("flowers.csv --target kind --hidden 0 -o m", "1 or more"),
        ("flowers.csv --target kind --hidden eight -o m", "wanted whole numbers"),
        ("flowers.csv --target kind --batch-size -1 -o m", "for '--batch-size': Input should be"),
        ("flowers.csv --target kind --learning-rate -1 -o m", "--learning-rate is -1"),
        ("flowers.csv --target kind --dropout 1.5 -o m", "1.5"),
        ("flowers.csv --target kind --held-out 1 -o m", "--held-out is 1.0; give a number above 0"),
        ("flowers.csv --target kind --backend nunpy -o m", "did you mean 'numpy'?"),
        ("flowers.csv --target kind --activation rleu -o m", "did you mean 'relu'?"),
        ("flowers.csv --target kind --optimizer adm -o m", "did you mean 'adam'?"),
        ("flowers.csv --target kind --epoch 3 -o m", "--epoch"),
        ("flowers.csv --target kind --optimizer sgd --learning-rate 1e300 -o m", "no model was written"),
    ],
)
def test_misuse_of_train_is_one_line_and_writes_nothing(chainrule, flowers, tmp_path, words, message):
    refused(chainrule("train", *words.split()), message)
    assert [path.name for path in tmp_path.iterdir()] == ["flowers.csv"]


def test_another_suffix_is_refused_before_training(chainrule, flowers):
    result = chainrule(*["train", "flowers.csv", "--target", "kind", "-o", "m.st"])
    refused(result, "'m.st' names another kind of file; a model is a safetensors file")
    assert "epoch" not in result.stderr


def test_an_unusable_backend_says_why(chainrule, flowers, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    words = "train flowers.csv --target kind --backend cupy -o m"
    refused(chainrule(*words.split()), "cupy")


def test_a_failed_training_leaves_the_old_model_as_it_was(chainrule, flowers, tmp_path):
    train(chainrule)
    before = (tmp_path / "m.safetensors").read_bytes()
    words = "train flowers.csv --target kind --optimizer sgd --learning-rate 1e300 -o m.safetensors"
    refused(chainrule(*words.split()), "diverged")
    assert (tmp_path / "m.safetensors").read_bytes() == before


def test_misuse_of_predict_is_one_line_and_writes_nothing(chainrule, flowers, tmp_path):
    train(chainrule)
    cases = {
        "m.safetensors none.csv -o out.csv": "there is no file none.csv",
        "none.safetensors flowers.csv -o out.csv": "there is no file none.safetensors",
        "flowers.csv flowers.csv -o out.csv": "no model file",
        "m.safetensors flowers.csv -o none/out.csv": "there is no folder",
        "m.safetensors flowers.csv -o m.safetensors": "would be overwritten",
        "m.safetensors flowers.csv -o flowers.csv": "would be overwritten",
    }
    for words, message in cases.items():
        refused(chainrule("predict", *words.split()), message)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "x" * 100_000, "[red]k[/]"])
def test_names_from_a_table_reach_the_terminal_printable_and_short(chainrule, name):
    pl.DataFrame({name: ["1", "a"], "t": [0, 1]}).write_csv("t.csv")
    for target in ("t", "none"):
        result = chainrule("train", "t.csv", "--target", target, "-o", "m")
        assert result.exit_code == 2
        assert len(result.stderr) < 2000
        assert "\x1b" not in result.stderr
        assert name[:5].replace("\x1b", "\\x1b") in result.stderr


def test_an_unknown_command_gives_the_nearest(chainrule):
    refused(chainrule("trian"), "Did you mean 'train'?")


def test_an_error_of_several_lines_is_told_in_one():
    assert one_line(ValueError("first\n   second")) == "first second"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


# -- demo, info, and the rest --------------------------------------------------------------------


@pytest.mark.uses("jit")
def test_demo_shows_xor_and_the_digits_and_needs_no_extra(chainrule, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    result = chainrule("demo")
    assert result.exit_code == 0, result.stderr
    assert "Epoch 0, Loss:0." in result.stdout
    assert "Epoch 4000, Loss:0." in result.stdout
    assert "validation  accuracy" in result.stdout
    assert "confusion" in result.stdout
    right = float(result.stdout.split(" % of 359 digits")[0].split()[-1])
    assert right >= 97
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_info_tells_what_is_here_and_which_backends_are_usable(chainrule):
    result = chainrule("info")
    assert result.exit_code == 0, result.stderr
    for word in (__version__, np.__version__, "numpy", "cupy", "torch", "jax", "cores", "blas"):
        assert word in result.stdout
    assert "\x1b" not in result.stdout  # it is no terminal
    facts = json.loads(chainrule("info", "--json").stdout)
    usable = {record["name"]: record["usable"] for record in facts["backends"]}
    assert usable["numpy"] is True
    assert all(record["usable"] or record["reason"] for record in facts["backends"])


def test_version_and_help(chainrule):
    assert chainrule("--version").stdout == f"chainrule {__version__}\n"
    for words in ([], ["--help"], ["-h"]):
        result = chainrule(*words)
        assert result.exit_code == 0
        for command in ("demo", "train", "predict", "explain", "info"):
            assert command in result.stdout


def run_module(*arguments):
    command = [sys.executable, "-m", "chainrule", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_python_m_runs_it_and_errors_have_no_traceback():
    assert run_module("--version").stdout == f"chainrule {__version__}\n"
    done = run_module("predict", "none", "none.csv")
    assert done.returncode == 2
    assert done.stderr == "error: there is no file none\n"
