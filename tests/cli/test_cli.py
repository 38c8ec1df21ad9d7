"""The command line, as a person meets it."""

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from chainrule import NeuralNetwork, __version__
from chainrule.cli.errors import one_line
from chainrule.cli.options import sizes, spread
from chainrule.data import read_table
from support.commands import refused
from support.streams import folder, rows

TRAIN = "train flowers.csv --target kind --epochs 30 -o m.safetensors "


def succeeded(result):
    assert result.exit_code == 0, result.stderr
    return result


def written(path, *rows):
    Path(path).write_text("".join(f"{','.join(map(str, row))}\n" for row in rows), encoding="utf-8")


# -- train ---------------------------------------------------------------------------------------


def test_digits_reach_97_percent_in_15_seconds_with_progress_shown(chainrule):
    words = "train digits --target digit --hidden 128 64 --backend numpy -o m.safetensors --json"
    start = time.process_time()  # what others do on the machine is not counted
    result = succeeded(chainrule(words))
    assert time.process_time() - start < 15
    outcome = json.loads(result.stdout)
    assert outcome["held_out"]["accuracy"] >= 0.97
    assert outcome["rows"] == {"trained": 1438, "held_out": 359, "left_out": 0}
    assert "epoch 20/20" in result.stderr


def test_classes_are_learnt_and_scored_beside_always_answering_the_commonest(learned):
    said = (learned / "kind.txt").read_text()
    assert "classification from 2 features (classes: 3), 96 rows" in said
    assert "held-out accuracy: 100.0 % of 24 rows (always the commonest class: 33.3 %)" in said
    assert f"saved {learned}/kind.safetensors (60 epochs, " in said


def test_a_folder_of_parquet_files_is_read_in_windows_and_its_model_predicts(chainrule, tmp_path):
    X, _, _ = rows(2000)
    kind = np.where(X[:, 1] + X[:, 2] > 0, "up", "down")
    folder(tmp_path / "rows", X, kind)
    words = "--target y --drop x0 --epochs 8 -o m.safetensors --json --early-stopping 3"
    outcome = json.loads(succeeded(chainrule(f"train rows {words}")).stdout)
    counts = outcome["rows"]
    assert (counts["trained"] + counts["held_out"], outcome["features"]) == (2000, 5)
    assert outcome["held_out"]["accuracy"] > 0.95
    assert outcome["held_out"]["commonest_class"] < 0.7
    succeeded(chainrule("predict m.safetensors rows/000.parquet -o out.csv"))
    assert np.mean(read_table("out.csv")["prediction"] == kind[:400]) > 0.95
    words = "train rows/000.parquet --stream --target x1 --drop y --epochs 2 -o q.safetensors"
    assert "regression from 5 features (a quantity), 3" in succeeded(chainrule(words)).stdout
    refused(
        chainrule("train rows --target y -o m --plots p"),
        "leave them out with --stream, a folder or .npy",
    )


def test_a_quantity_is_learnt_scored_and_predicted_in_its_own_units(chainrule, learned, models):
    score = (learned / "price.txt").read_text().split("held-out R2: ")[1]
    assert 0.99 < float(score.split(",")[0]) <= 1
    prices = read_table("prices.csv")["price"]
    assert 0 < float(score.split("RMSE: ")[1].split(",")[0]) < 0.1 * prices.std()
    succeeded(chainrule("predict price.safetensors prices.csv -o out.csv"))
    assert np.abs(read_table("out.csv")["prediction"] - prices).mean() < 0.1 * prices.std()


@pytest.mark.parametrize("words", ["12 7", "12,7", "12 --hidden 7", "=12 7"])
def test_widths_of_hidden_layers_may_be_written_in_any_of_these_ways(words):
    word = f"--hidden{'' if words[0] == '=' else ' '}{words} t.csv --epochs 5".split()
    out = spread(word)
    assert out[-3:] == ["t.csv", "--epochs", "5"]
    given = " ".join(out[:-3]).replace("=", " ").split()
    assert given[::2] == ["--hidden"] * (len(given) // 2)
    assert sizes(given[1::2]) == (12, 7)


def test_what_follows_the_widths_is_not_taken_for_one():
    assert spread(["--hidden", "8", "--", "9"]) == ["--hidden", "8", "--", "9"]
    assert spread(["9", "--hidden"]) == ["9", "--hidden"]
    with pytest.raises(ValueError, match="--hidden 8 x: wanted whole numbers"):
        sizes(["8", "x"])


def test_options_reach_the_network(chainrule, flowers):
    words = "--activation tanh --dropout 0.1 --weight-decay 0.01 --dtype float64 --seed 3 --held-out 0 "
    words += "--optimizer momentum --batch-size 16 --learning-rate 0.05 --hidden 12 7 --json "
    outcome = json.loads(succeeded(chainrule(TRAIN + words)).stdout)
    assert outcome["held_out"] == {}
    assert outcome["rows"] == {"trained": 120, "held_out": 0, "left_out": 0}
    net = NeuralNetwork.load("m.safetensors")
    built = net.architecture
    assert (built.sizes, built.activations[0].name, net.dtype) == ((2, 12, 7, 3), "tanh", "float64")
    assert (built.dropout, built.weight_decay) == (0.1, 0.01)


def test_equal_seeds_give_equal_models_and_others_do_not(chainrule, flowers, tmp_path):
    models = []
    for seed in (5, 5, 6):
        succeeded(chainrule(TRAIN + f"--epochs 2 --seed {seed}"))
        models.append((tmp_path / "m.safetensors").read_bytes())
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_early_stopping_ends_before_the_epochs_do(chainrule, flowers):
    result = succeeded(chainrule(TRAIN + "--epochs 500 --early-stopping 3 --json"))
    assert json.loads(result.stdout)["epochs"] < 500


def test_training_that_did_not_learn_says_so(chainrule, flowers):
    words = "train flowers.csv --target width --drop kind --optimizer sgd --learning-rate 100 "
    result = succeeded(chainrule(words + "--epochs 2 -o m.safetensors"))
    note = result.stderr.splitlines()[-1]
    assert note.startswith("the loss rose from ")
    assert "learning rate too large" in note
    assert "saved m.safetensors" in result.stdout
    result = succeeded(chainrule(words + "--epochs 2 -o m.safetensors --json"))
    assert json.loads(result.stdout)["notes"][-1] == note
    assert succeeded(chainrule(TRAIN)).stderr.splitlines()[-1].startswith("epoch 30/30")


def test_ctrl_c_keeps_what_was_learnt(chainrule, flowers, monkeypatch):
    from chainrule.training import run as training

    def interrupt(run, usual=training.TrainingRun._epochs):
        if len(run.history) == 3:
            raise KeyboardInterrupt
        return usual(run)

    monkeypatch.setattr(training.TrainingRun, "_epochs", interrupt)
    assert "interrupted; what 3 epochs taught is kept" in succeeded(chainrule(TRAIN)).stdout
    assert NeuralNetwork.load("m.safetensors").metadata["table"]["target"] == "kind"


def test_what_a_column_is_used_for_is_said_before_and_after_training(chainrule, flowers):
    rows = [line.split(",") for line in flowers.splitlines()]
    table = [[i - 1, *row, i * 7 % 120] for i, row in enumerate(rows)]
    written("t.csv", ["", *rows[0], "id"], *table[1:])
    words = "train t.csv --target kind --epochs 5 -o m.safetensors "
    lines = succeeded(chainrule("train t.csv --target kind --dry-run")).stdout.splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["''", "'width'", "'kind'", "'height'", "'id'"]
    assert [line.split()[1] for line in lines[:5]] == ["left", "feature", "target", "feature", "feature"]
    assert lines[-1] == "classification from 3 features (classes: 3), 120 rows"
    assert not Path("m.safetensors").exists()
    said = succeeded(chainrule(words)).stdout
    assert "left out '': an index" in said
    assert "feature 'id': a whole number that never repeats" in said
    succeeded(chainrule(words + "--drop id,width"))
    assert NeuralNetwork.load("m.safetensors").metadata["table"]["features"] == ["height"]
    result = chainrule("train t.csv --target width -o m --dry-run")
    assert result.exit_code == 2
    assert "'kind'    refused   text, 'lily' in row 1" in result.stdout


def test_rows_with_a_word_for_no_value_are_left_out_on_request(chainrule, flowers):
    Path("t.csv").write_text(flowers.replace("lily", "NA", 5), encoding="utf-8")
    words = "train t.csv --target kind --epochs 2 -o m "
    refused(chainrule(words), "row 1 has 'NA' in the target")
    assert "left out 5 rows without a value" in succeeded(chainrule(words + "--missing NA,?")).stdout


def test_train_reads_the_digits_and_small_csv_without_polars(chainrule, flowers, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    said = succeeded(chainrule("train digits --target digit --epochs 1 -o m")).stdout
    assert "classes: 10" in said
    assert "held-out accuracy: 100.0 %" in succeeded(chainrule(TRAIN)).stdout
    assert succeeded(chainrule("predict m.safetensors flowers.csv")).stdout.startswith("prediction,")


def test_a_model_is_written_though_nobody_reads_the_progress(flowers, tmp_path):
    words = f"{sys.executable} -m chainrule {TRAIN} 2>&1 | head -1"
    command = ["/bin/bash", "-o", "pipefail", "-c", words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout[:8]) == (0, b"epoch 1/")
    assert NeuralNetwork.load(tmp_path / "m.safetensors").metadata["held_out"]["accuracy"] == 1.0


# -- predict -------------------------------------------------------------------------------------


def test_predictions_are_labels_with_the_probability_of_each(chainrule, models):
    said = succeeded(chainrule("predict kind.safetensors flowers.csv -o out.csv")).stdout
    assert "wrote out.csv (120 rows)" in said
    out = read_table("out.csv")
    names = ["prediction", "probability_lily", "probability_rose", "probability_tulip"]
    assert list(out) == names
    assert (out["prediction"] == read_table("flowers.csv")["kind"]).mean() > 0.95
    assert sum(out[name] for name in names[1:]) == pytest.approx(1, abs=1e-5)


def test_features_are_found_by_name_other_columns_passed_over_and_missing_ones_named(chainrule, models):
    straight = succeeded(chainrule("predict kind.safetensors flowers.csv")).stdout
    assert straight.startswith("prediction,probability_lily,")
    rows = list(csv.DictReader(models.splitlines()))
    written("other.csv", ["height", "note", "width"], *((r["height"], "x", r["width"]) for r in rows))
    assert chainrule("predict kind.safetensors other.csv").stdout == straight
    for name, other in (("width", "height"), ("height", "width")):
        written("other.csv", [other], *((row[other],) for row in rows))
        message = f"no column {name!r} for a feature that the model takes"
        refused(chainrule("predict kind.safetensors other.csv -o out.csv"), message)


def test_a_label_that_a_spreadsheet_would_compute_is_marked_on_request(chainrule, flowers):
    Path("flowers.csv").write_text(flowers.replace("lily", "=1+1"), encoding="utf-8")
    succeeded(chainrule(TRAIN))
    plain, marked = (
        chainrule(f"predict m.safetensors flowers.csv {more}").stdout for more in ("", "--spreadsheet")
    )
    assert plain.splitlines()[1].startswith("=1+1,")
    assert marked == plain.replace("\n=1+1,", "\n'=1+1,")


# -- explain -------------------------------------------------------------------------------------


def test_explain_shows_the_step_of_a_model_in_80_columns(chainrule, models):
    said = succeeded(chainrule("explain kind.safetensors flowers.csv --rows 100")).stdout
    assert "100 rows, cross_entropy, sgd at learning rate 0.1" in said
    assert "dL/dW1 = (dZ/dW1).T @ dL/dZ1" in said
    assert "(2, 100) @ (100, 128) -> (2, 128)" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(("table", "target"), [("flowers", "kind"), ("prices", "price")])
def test_explain_takes_the_targets_as_training_did(chainrule, models, table, target):
    step = json.loads(chainrule(f"explain {target}.safetensors {table}.csv --json").stdout)
    net = NeuralNetwork.load(f"{target}.safetensors")
    # A network that has learnt is far from its loss on targets that are not its own.
    assert step["loss"]["before"] < (0.1 if target == "kind" else 0.01)
    assert step["rows"] == len(read_table(f"{table}.csv")[target])
    assert [update["name"] for update in step["updates"]] == ["W1", "W2", "b1", "b2"]
    assert step["network"].startswith("-".join(map(str, net.architecture.sizes)))


def test_explain_says_what_is_wrong_by_its_exit_code_and_prints_every_form(chainrule, models):
    words = "explain kind.safetensors flowers.csv "
    healthy = chainrule(words + "--flags")
    assert (healthy.exit_code, healthy.stdout) == (0, "nothing wrong was found\n")
    wild = chainrule(words + "--flags --learning-rate 1000")
    assert wild.exit_code == 1
    assert wild.stdout.startswith("learning rate too large, learning_rate=1000: ")
    assert chainrule(words + "--latex").stdout.startswith("\\begin{align*}\n")
    assert chainrule(words + "--html").stdout.startswith('<div class="chainrule-step">')
    named, every = (json.loads(chainrule(words + f"--json {more}").stdout) for more in ("", "--all"))
    assert len(every["lines"]) > len(named["lines"])
    refused(chainrule(words + "--json --html"), "give one")


def test_explain_names_a_gap_a_label_and_a_column_that_do_not_fit(chainrule, models):
    rows = [line.split(",") for line in models.splitlines()]
    for message, table in {
        "row 1 ": [rows[0], *(["", *row[1:]] for row in rows[1:])],
        "row 1 has kind 'oak', which the model does not know (lily, rose, tulip)": [
            rows[0], *([row[0], "oak", row[2]] for row in rows[1:])
        ],
        "there is no column 'kind' for the target": [row[::2] for row in rows],
    }.items():  # fmt: skip
        written("other.csv", *table)
        refused(chainrule("explain kind.safetensors other.csv"), message)


# -- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "Missing argument"),
        ("none.csv --target kind", "give -o FILE for the model, or --dry-run"),
        ("none.csv --target kind -o m", "there is no file none.csv"),
        ("flowers.csv --target width -o m", "in 'kind' (text, 'lily' in row 1); leave columns out with --drop"),
        ("flowers.csv --target kind --task regression -o m", "column 'kind' has text, 'lily' in row 1"),
        ("flowers.csv --target kind --task regress -o m", "'regress' is not one of"),
        ("flowers.csv --target kind -o flowers.csv", "would be overwritten"),
        ("flowers.csv --target kind -o /dev/null", "a device, a pipe or a stream"),
        ("flowers.csv --target kind -o none/m", "there is no folder"),
        ("flowers.csv --target kind -o .", "is a folder"),
        ("none.csv --target kind -o m.st", "'m.st' names another kind of file; a model is a safetensors"),
        ("flowers.csv --target kind --drop hight -o m", "did you mean 'height'?"),
        # The table is read only after these.
        ("none.csv --target kind --features height --encoding x -o m", "unknown encoding 'x'"),
        ("none.csv --target kind --separator ab -o m", "give one character"),
        ("none.csv --target kind --epochs 0 -o m", "for '--epochs': Input should be"),
        ("none.csv --target kind --seed -1 -o m", "for '--seed': Input should be"),
        ("none.csv --target kind --backend nunpy -o m", "did you mean 'numpy'?"),
        ("none.csv --target kind --hidden 8 x -o m", "unexpected extra argument"),
        ("none.csv --target kind --hidden 8 -8 -o m", "--hidden 8 -8: every number must be 1 or more"),
        ("none.csv --target kind --learning-rate -1 -o m", "--learning-rate is -1"),
        ("none.csv --target kind --dropout 1.5 -o m", "--dropout is 1.5; give a number from 0 to 1 - 2^-32"),
        ("none.csv --target kind --weight-decay nan -o m", "--weight-decay is nan; give a finite number"),
        ("none.csv --target kind --held-out 1 -o m", "--held-out is 1.0; give a number from 0 up to"),
        ("few.csv --target y --early-stopping 2 -o m", "--early-stopping watches a tenth of the training rows"),
    ],
)  # fmt: skip
def test_misuse_of_train_is_one_line_and_writes_nothing(chainrule, flowers, tmp_path, words, message):
    written("few.csv", "ay", (1, "p"), (2, "q"), (3, "p"), (4, "q"))
    result = chainrule(f"train {words}")
    refused(result, message)
    assert "epoch 1/" not in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"few.csv", "flowers.csv"}


def test_a_failed_training_leaves_the_old_model_as_it_was(chainrule, models, tmp_path, monkeypatch):
    before = (tmp_path / "kind.safetensors").read_bytes()
    words = "train flowers.csv --target kind -o kind.safetensors "
    remedy = "; no model was written; lower --learning-rate"
    refused(chainrule(words + "--optimizer sgd --learning-rate 1e300"), remedy)
    monkeypatch.setitem(sys.modules, "cupy", None)
    refused(chainrule(words + "--backend cupy"), "cupy")
    assert (tmp_path / "kind.safetensors").read_bytes() == before


def test_misuse_of_predict_is_one_line_and_writes_nothing(chainrule, models, tmp_path):
    NeuralNetwork(2, 3, 1).save("plain.safetensors")
    for words, message in {
        "kind.safetensors none.csv -o out.csv": "there is no file none.csv",
        "none.safetensors flowers.csv -o out.csv": "there is no file none.safetensors",
        "flowers.csv flowers.csv -o out.csv": "not a model file",
        "plain.safetensors flowers.csv -o out.csv": "not made by chainrule train",
        "kind.safetensors flowers.csv -o none/out.csv": "there is no folder",
        "kind.safetensors flowers.csv -o kind.safetensors": "would be overwritten",
        "kind.safetensors flowers.csv -o flowers.csv": "would be overwritten",
    }.items():
        refused(chainrule(f"predict {words}"), message)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["\x1b]0;title\x07", "x" * 100_000, "[red]k[/]"])
def test_names_from_a_table_reach_the_terminal_printable_and_short(chainrule, name):
    written("t.csv", [name, "t"], (1, 0), ("a", 1))
    for target in ("t", "none"):
        result = chainrule(f"train t.csv --target {target} -o m")
        assert result.exit_code == 2
        assert len(result.stderr) < 2000
        assert "\x1b" not in result.stderr
        assert name[:5].replace("\x1b", "\\x1b") in result.stderr


def test_an_unknown_command_gives_the_nearest_and_errors_are_one_line(chainrule):
    refused(chainrule("trian"), "Did you mean 'train'?")
    assert one_line(ValueError("first\n   second")) == "first second"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


# -- demo, info, and the rest --------------------------------------------------------------------


@pytest.mark.uses("jit")
def test_demo_shows_xor_and_the_digits_and_needs_no_extra(chainrule, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    said = succeeded(chainrule("demo")).stdout
    for part in ("Epoch 0, Loss:0.", "Epoch 4000, Loss:0.", "validation  accuracy", "confusion"):
        assert part in said
    assert float(said.split(" % of 359 digits")[0].split()[-1]) >= 97
    assert max(map(len, said.splitlines())) <= 80


def test_info_names_what_is_here_and_which_backends_are_usable(chainrule):
    said = succeeded(chainrule("info")).stdout
    for word in (__version__, np.__version__, "numpy", "cupy", "torch", "jax", "cores", "blas"):
        assert word in said
    assert "\x1b" not in said  # it is no terminal
    usable = {b["name"]: b for b in json.loads(chainrule("info --json").stdout)["backends"]}
    assert usable["numpy"]["usable"] is True
    assert all(record["usable"] or record["reason"] for record in usable.values())


def test_python_m_runs_it_and_errors_have_no_traceback(chainrule):
    assert chainrule("--version").stdout == f"chainrule {__version__}\n"
    command = [sys.executable, "-m", "chainrule", "predict", "none", "none.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: there is no file none\n")
