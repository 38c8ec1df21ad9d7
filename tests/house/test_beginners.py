"""Mistakes of beginners: each gives an error of one line, with a remedy that works when it is pasted.

``<<...>>`` marks the mistake. The group of the pattern is the remedy, which the test writes in its place.
"""

import re
import shlex

import numpy as np
import pytest

from chainrule import NeuralNetwork, optimizers

TABLE = "width,height,kind\n" + "".join(f"{i},{i * i % 7},{'ab'[i % 2]}\n" for i in range(40))
SEMICOLONS = TABLE.replace(",", ";")
WORDS = TABLE.replace("height", "colour").replace(",0,", ",red,").replace(",1,", ",blue,")


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Return the variables of a Python session."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE)
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    known = {"NeuralNetwork": NeuralNetwork, "np": np, "adam": optimizers.adam, "X": X, "y": y}
    known |= {"net": NeuralNetwork(2, 4, 1, seed=0), "words": ["cat", "dog", "cat", "ant"]}
    return known | {"classifier": NeuralNetwork(2, 4, 3, loss="cross_entropy", seed=0)}


IN_PYTHON = [
    ("NeuralNetwork(2, 4, 1, activation=<<'rleu'>>)", "unknown activation 'rleu'; did you mean ('relu')"),
    ("NeuralNetwork(2, 4, 1, activation=<<'logistic'>>)", "did you mean ('sigmoid')"),
    ("NeuralNetwork(2, 4, 3, <<output_activation='softmax'>>)", "it is part of (loss='cross_entropy')"),
    ("NeuralNetwork(2, 4, 1, loss=<<'mse'>>)", "unknown loss 'mse'; did you mean ('mean_squared_error')"),
    ("NeuralNetwork(2, 4, 1, loss=<<'BCE'>>)", "did you mean ('binary_cross_entropy')"),
    ("NeuralNetwork(2, 4, 1, initializer=<<'xavier'>>)", "did you mean ('glorot_uniform')"),
    ("NeuralNetwork(2, 4, 1, <<loss='cross_entropy'>>)", "got 1 output; give output_size=2, or (loss=.*)$"),
    ("NeuralNetwork(2, <<'64'>>, 1)", "a layer size is '64'; give a whole number"),
    ("NeuralNetwork(2, 4, 1, dtype=<<'int'>>)", "dtype is int64; give ('float32')"),
    ("NeuralNetwork(2, 4, 1, dropout=<<50>>)", "dropout is 50; give a number from 0 to 1"),
    ("NeuralNetwork(2, (4, 4), 1, activation=<<['relu']>>)", "got 1 activations for 2 hidden layers; give one name"),
    ("NeuralNetwork(2, 4, 1, backend=<<'tensorflow'>>)", r"unknown backend 'tensorflow' \(known: cupy, jax, numpy, torch"),
    ("NeuralNetwork(2, 4, 1, backend=<<'gpu'>>)", "unknown backend 'gpu'; did you mean 'cupy'"),
    ("NeuralNetwork(2, 4, 1, <<activaton>>='relu')", r"NeuralNetwork\(\) has no argument 'activaton'; did you mean '(activation)'"),
    ("net.train(X, y, 2, <<lr>>=0.1)", r"train\(\) has no argument 'lr'; did you mean '(learning_rate)'"),
    ("net.train(X, y, <<n_epochs>>=2)", "did you mean '(epochs)'"),
    ("net.train(X, y, 2, <<verbose>>=False)", "did you mean '(progress)'"),
    ("net.train(X, y, 2, optimizer=<<'Adam'>>)", "unknown optimizer 'Adam'; did you mean ('adam')"),
    ("net.train(X, y, 2, optimizer=<<'rmsprop'>>)", "unknown optimizer 'rmsprop'; did you mean ('adam')"),
    ("net.train(X, y, 2, optimizer=<<adam>>)", "a name or Optimizer, got function; give ('adam')"),
    ("net.<<fit(X, y)>>", r"NeuralNetwork has no attribute 'fit'; use (train\(X, y, epochs=100\)), or MLPClassifier"),
    ("net.<<score(X, y)>>", "use (evaluate.*)$"),
    ("net.train(<<X.T>>, y, 2)", "X has 4 features but the network takes 2; was it transposed"),
    ("net.train(X, <<y.T>>, 2)", "y has 1 rows but X has 4; was it transposed[?] give y.T"),
    ("net.predict(<<np.asarray([0, 1])>>)", r"X has shape \(2,\) .* for one sample give"),
    ("net.predict(<<np.ones((3, 5))>>)", "X has 5 features but the network takes 2; was a column added or lost"),
    ("net.train(X, <<y[:3]>>, 2)", "y has 3 rows but X has 4"),
    ("net.train(<<np.where(X == 1, np.nan, X)>>, y, 2)", r"X holds NaN at row 1, column 1 .* fill or drop it first"),
    ("NeuralNetwork(2, 4, 3, <<loss='squared_error'>>).train(X, [0, 1, 2, 0], 2)", "class labels; use (loss=.*)$"),
    ("classifier.train(X, <<words>>, 2)", r"y holds 'cat' at row 0 .* encode it: (.*), or use MLPClassifier"),
    ("classifier.train(X, <<[1, 2, 3, 1]>>, 2)", "label 3 at row 2, .* give whole numbers from 0 to 2"),
    ("classifier.train(X, <<[0.5, 1, 2, 1]>>, 2)", "label 0.5 at row 0, .* give whole numbers from 0 to 2"),
    ("net.train(<<[['a', 'b']] * 4>>, y, 2)", "X holds 'a' at row 0, .* make each word a column of 0 and 1"),
    ("net.train(<<[[1, 2], [3]]>>, y[:2], 2)", "X is ragged: its rows differ in length; give rows of one length"),
    ("net.train(X, y, <<0.1, 1000>>)", "epochs is 0.1; give a whole number"),
    ("net.train(X, y, 2, learning_rate=<<'0.1'>>)", "learning_rate is '0.1'; give .* such as (0.1), or a schedule"),
    ("net.train(X, y, 2, batch_size=<<'32'>>)", "batch_size is '32'; give a whole number"),
    ("net.train(X, y, 2, validation_fraction=<<20>>)", "validation_fraction is 20; give a number above 0 and below 1"),
    ("net.train(X, y, 2, validation_data=<<X>>)", r"validation_data: got a ndarray; give (\(X, y\))"),
    ("net.train(X, y, 2, callbacks=<<print>>)", r"callbacks is .*; give a list of functions, such as (\[print\])"),
    ("net.train(<<'table.csv'>>, 'width', 2, batch_size=8)", "is CSV; give Parquet: polars.read_csv"),
    ("net.train(X, y, 2, progress=False)[<<'val_loss'>>]", r"no column 'val_loss' \(known: .* validation_loss"),
    ("net.check_gradients(X, y, oracles=<<'numeric'>>)", "unknown oracle 'numeric' .known: differences, complex step"),
    ("NeuralNetwork.load(<<'net.safetensors'>>)", "there is no file net.safetensors"),
    ("net.save(<<'net.pkl'>>)", "names another kind of file; a model is a safetensors file: ('net.safetensors')"),
    ("net.predicted_output", "nothing to read yet: call feedforward"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "pattern"), IN_PYTHON)
def test_a_mistake_in_python_is_one_line_and_its_remedy_works(mistake, pattern, names):
    with pytest.raises(Exception, match=r".") as caught:
        eval(re.sub("<<|>>", "", mistake), names)  # noqa: S307  ours
    message = str(caught.value)
    assert "\n" not in message
    match = re.search(pattern, message)
    assert match, message
    if match.groups():
        names["y"] = names["words"] if "words" in mistake else names["y"]
        eval(re.sub("<<.*>>", lambda _: match[1], mistake), names)  # noqa: S307


ON_THE_COMMAND_LINE = [
    ("<<trian>> table.csv --target kind -o m", "No such command 'trian'. Did you mean '(train)'"),
    ("train <<table.cvs>> --target kind -o m", "there is no file table.cvs"),
    ("train table.csv --target <<kidn>> -o m", "no column 'kidn' for the target; did you mean '(kind)'"),
    ("train table.csv -o m", "Missing option '--target'"),
    ("train table.csv --target kind <<>>", "no file to write to; give -o FILE for the model, or (--dry-run)"),
    ("train table.csv --target kind -o m --hidden <<big>>", "--hidden big: wanted whole numbers, as in --hidden (8,4)"),
    ("train table.csv --target kind -o m --hidden <<0>>", "--hidden 0: every number must be (1) or more"),
    ("train table.csv --target kind -o m --epochs <<ten>>", "'--epochs': Input should be a valid integer"),
    ("train table.csv --target kind -o m <<--epoch>> 5", "No such option: --epoch; did you mean (--epochs)"),
    ("train table.csv --target kind -o m <<--lr>> 0.1", "No such option: --lr; did you mean (--learning-rate)"),
    ("train table.csv --target kind -o m --activation <<rleu>>", "unknown activation 'rleu'; did you mean '(relu)'"),
    ("train table.csv --target kind -o m --optimizer <<Adam>>", "unknown optimizer 'Adam'; did you mean '(adam)'"),
    ("train table.csv --target kind -o m --dtype <<float>>", "'float' is not one of '(float32)'"),
    ("train table.csv --target kind -o m --drop <<widht>>", "no column 'widht' for --drop .* did you mean '(width)'"),
    ("train table.csv --target kind -o <<m.pkl>>", "names another kind of file; a model is a safetensors file: '(.*)'$"),
    ("train table.csv --target kind -o <<table.csv>>", "table.csv is read .* and would be overwritten; give .* another name"),
    ("train semicolons.csv --target kind -o m <<>>", "has one column, .* give (--separator ';')"),
    ("train words.csv --target kind -o m <<>>", "in 'colour' .text, .* leave columns out with (--drop 'colour')"),
    ("train notes.txt --target kind -o m", "notes.txt: unsupported table format; use one of .csv"),
    ("predict <<table.csv learned>>", "table.csv is not a model file, .* give one that chainrule saved"),
    ("predict learned <<other.csv>>", "no column 'height' for a feature that the model takes"),
    ("predict learned table.csv -o <<p.xlsx>>", "names another kind of file; predictions are CSV: '(p.csv)'"),
    ("info --namespace nonsense", "cannot import 'nonsense' .*; give an installed module, such as array_api_strict"),
    ("bench report nowhere", "there is no run at nowhere; measure with: chainrule bench run -o nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("mistake", "pattern"), ON_THE_COMMAND_LINE)
def test_a_mistake_on_the_command_line_is_one_line_and_its_remedy_works(
    mistake, pattern, chainrule, tmp_path
):
    tables = {"table.csv": TABLE, "semicolons.csv": SEMICOLONS, "words.csv": WORDS, "notes.txt": TABLE}
    for name, text in (tables | {"other.csv": TABLE.replace("height", "depth")}).items():
        (tmp_path / name).write_text(text)
    if "learned" in mistake:
        assert chainrule("train table.csv --target kind -o learned").exit_code == 0
    result = chainrule("", *shlex.split(re.sub("<<|>>", "", mistake)))
    assert result.exit_code == 2
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    match = re.search(pattern, line)
    assert match, line
    if match.groups():
        repaired = re.sub("<<.*>>", lambda _: match[1], mistake)
        assert chainrule("", *shlex.split(repaired)).exit_code == 0
