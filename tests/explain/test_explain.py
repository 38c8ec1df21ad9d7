"""One training step, shown: it is the step that runs, and it says what is wrong with it."""

import ast
import json
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from chainrule import Activation, NeuralNetwork
from chainrule.mathematics.activations import ACTIVATIONS
from chainrule.mathematics.arrays import namespace
from chainrule.mathematics.layers import dense_backward, dense_backward_input
from chainrule.mathematics.losses import LOSSES
from chainrule.mathematics.optimizers import OPTIMIZERS, optimizer
from chainrule.mathematics.step import Batch, Progress, TrainingStep, forward
from chainrule.training.batches import Chance
from support.compare import parameters
from support.data import XOR_X, XOR_Y, samples, targets
from support.steps import ALL

EVERYTHING = {"loss": "cross_entropy", "activation": "gelu", **ALL}


def network(backend=None, **given):
    """Return a network of three layers and a batch for it."""
    loss = given.setdefault("loss", "squared_error")
    net = NeuralNetwork(5, (7, 6), 3, backend=backend, seed=3, **given)
    rng = np.random.default_rng(5)
    return net, samples(rng, 9, 5), targets(rng, loss, (9, 3))


# -- it is the step that runs --------------------------------------------------------------------


@pytest.mark.parametrize("rule", OPTIMIZERS)
@pytest.mark.parametrize("given", [{}, EVERYTHING], ids=["plain", "everything"])
def test_it_ends_at_the_very_parameters_that_training_ends_at(given, rule):
    net, X, Y = network(**given)
    weights = np.linspace(0.5, 2.0, 9)
    step = net.explain(X, Y, 0.05, optimizer=rule, sample_weight=weights)
    compiles = rule == "adam"  # the compiled step ends there too
    history = net.train(
        X, Y, 1, 0.05, optimizer=rule, sample_weight=weights, progress=False, compile=compiles
    )
    assert (step["theta"].array == net._theta).all()
    assert net.architecture.loss.reported(float(step["L"].array), 9, 3) == pytest.approx(
        history.records[0].loss
    )
    for update in step.updates:
        number, kind = int(update.name[1:]) - 1, update.name[0]
        assert (update.after == getattr(net.layers[number], kind)).all()


def test_explaining_changes_nothing():
    (net, X, Y), (other, *_) = network(**EVERYTHING), network(**EVERYTHING)
    net.explain(X, Y, optimizer="adam")
    assert (parameters(net) == parameters(other)).all()
    for either in (net, other):  # the dropout key is still to come
        either.train(X, Y, 2, progress=False)
    assert (parameters(net) == parameters(other)).all()


def test_it_continues_the_optimizer_that_resumed_training_left():
    net, X, Y = network()
    options = {"learning_rate": 0.05, "optimizer": "adam"}
    net.train(X, Y, 3, **options, resume=True, progress=False)
    step = net.explain(X, Y, **options)
    net.train(X, Y, 1, **options, resume=True, progress=False)
    assert (step["theta"].array == net._theta).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_factor_is_what_the_mathematics_computes(name):
    loss = LOSSES["mean_squared_error"]
    net, X, Y = network(activation=name, output_activation=name, loss=loss.name)
    step, layers = net.explain(X, Y), net.layers
    caches = forward(net._theta, X, net.architecture).caches
    dL_dA = loss.gradient(caches[-1].A, Y)
    for number in (3, 2, 1):
        cache, f = caches[number - 1], net.architecture.activations[number - 1]
        slopes, dL_dZ = dense_backward(dL_dA, cache, f)
        wanted = {"Z": cache.Z, "A": cache.A, "dZ_dW": cache.X, "dA_dZ": f.derivative(cache.Z, cache.A)}
        wanted |= {"dL_dA": dL_dA, "dL_dZ": dL_dZ, "dL_dW": slopes.W, "dL_db": slopes.b}
        for symbol, array in wanted.items():
            assert (step[f"{symbol}{number}"].array == array).all(), f"{symbol}{number}"
        dL_dA = dense_backward_input(dL_dZ, layers[number - 1])
    assert step["L"].array == loss.value(caches[-1].A, Y)


@pytest.mark.parametrize("detail", ["named", "all"])
def test_it_explains_on_every_backend(backend, detail):
    net, X, Y = network(backend, **EVERYTHING, dtype="float32")
    step = net.explain(X, Y, optimizer="adam", detail=detail)
    work = TrainingStep(net.architecture, optimizer("adam"))
    start = Progress(net._theta, work.optimizer.init(net._theta))
    batch = Batch(backend.asarray(X, "float32"), backend.asarray(Y, "float32"), None)
    rate, key = backend.asarray(0.1, "float32"), backend.asarray(Chance(3).keys(1)[0], "int32")
    end, L = work.whole(start, batch, rate, key)
    assert (step["theta"].array == backend.to_numpy(end.theta)).all()
    assert step["L"].array == backend.to_numpy(L)


# -- what a line says ----------------------------------------------------------------------------


def test_it_reads_as_the_chain_rule_does():
    step = NeuralNetwork(2, 4, 1, seed=1).explain(XOR_X, XOR_Y)
    formulas = {
        "Z1": "X @ W1 + b1",
        "A1": "0.5 * tanh(0.5 * Z1) + 0.5",
        "dA_dZ1": "A1 * (1 - A1)",
        "dZ_dW2": "A1",
        "dL_dZ2": "dL/dA2 * dA/dZ2",
        "dL_dW2": "(dZ/dW2).T @ dL/dZ2",
        "dL_dX2": "dL/dZ2 @ (dZ/dX2).T",
        "dL_dA1": "dL/dX2",
        "theta": "theta - learning_rate * g",
    }
    assert {name: step[name].formula.text for name in formulas} == formulas
    order = [
        "X",
        "W1",
        "Z1",
        "A1",
        "Z2",
        "A2",
        "L",
        "dL_dA2",
        "dA_dZ2",
        "dL_dZ2",
        "dL_dW2",
        "dL_dA1",
        "dL_dZ1",
        "dL_dW1",
        "dL_db1",
        "g",
        "theta",
    ]
    assert [line.name for line in step if line.name in order] == order
    sections = dict.fromkeys(line.section for line in step)
    assert list(sections) == ["inputs", "forward", "loss", "backward", "update"]
    assert {line.layer for line in step if line.name.startswith("dL_d")} == {1, 2}


def test_with_dropout_it_reads_as_the_mathematics_too():
    step = NeuralNetwork(2, (4, 3), 1, dropout=0.2, seed=1).explain(XOR_X, XOR_Y)
    formulas = {line.name: line.formula.text for line in step}
    assert formulas["A_kept1"] == "A1 * dropout_mask1"
    assert formulas["Z2"] == "A_kept1 @ W2 + b2"
    assert formulas["dL_dA1"] == "dL/dX2 * dropout_mask1"
    assert not any("backward" in name for name in formulas)


def test_a_line_has_its_source_its_product_and_its_figures():
    line = NeuralNetwork(2, 4, 1, seed=1).explain(XOR_X, XOR_Y)["dL_dW1"]
    assert line.code == "dL_dW = xp.matmul(xp.matrix_transpose(dZ_dW), dL_dZ)"
    assert line.source.startswith("layers.py:")
    assert (line.products, line.shape) == (("(2, 4) @ (4, 4) -> (2, 4)",), (2, 4))
    assert line.norm == pytest.approx(np.linalg.norm(line.array))
    assert (line.smallest, line.largest) == (line.array.min(), line.array.max())
    assert line.first == tuple(line.array.reshape(-1)[:4])


def test_every_matrix_product_is_spelled_out():
    net, X, Y = network(**EVERYTHING)
    spelled = [shapes for line in net.explain(X, Y) for shapes in line.products if "@" in shapes]
    assert len(spelled) == 4 * net.architecture.depth - 1
    for shapes in spelled:
        left, right, made = map(ast.literal_eval, shapes.replace("@", ";").replace("->", ";").split(";"))
        assert left[1] == right[0]
        assert made == (left[0], right[1])


def test_all_detail_has_a_line_for_each_operation_of_the_program():
    net, X, Y = network(**EVERYTHING)
    step = net.explain(X, Y, detail="all")
    program = net.program(9).program
    made = [line for line in step if line.formula.text and line.source]
    assert len(made) >= program.launches
    assert len(list(step)) > len(list(net.explain(X, Y)))


def test_an_activation_of_ones_own_is_shown_with_its_own_lines():
    def softsign(Z):
        return Z / (1.0 + namespace(Z).abs(Z))

    def slope(Z, _):
        below = 1.0 + namespace(Z).abs(Z)
        return 1.0 / (below * below)

    net, X, Y = network(activation=Activation("softsign", softsign, slope))
    line = net.explain(X, Y)["A1"]
    assert line.formula.text == "Z1 / (1 + abs(Z1))"
    assert line.source.startswith("test_explain.py:")
    assert line.code == "return Z / (1.0 + namespace(Z).abs(Z))"


def test_what_cannot_be_answered_is_refused_with_the_remedy():
    net = NeuralNetwork(2, 4, 1, seed=1)
    with pytest.raises(KeyError, match="did you mean 'dL_dW1'"):
        net.explain(XOR_X, XOR_Y)["dLdW1"]
    with pytest.raises(ValueError, match="detail is 'most'; give 'named' or 'all'"):
        net.explain(XOR_X, XOR_Y, detail="most")
    sys.setprofile(lambda *_: None)
    try:
        with pytest.raises(RuntimeError, match="a profiler is active"):
            net.explain(XOR_X, XOR_Y)
    finally:
        sys.setprofile(None)


# -- how it is shown -----------------------------------------------------------------------------


def test_the_text_fits_80_columns_and_has_every_line():
    net, X, Y = network(**EVERYTHING)
    step = net.explain(X, Y, optimizer="adam")
    text = str(step)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert [line.name for line in step if f"  {line.symbol.text}" not in text] == []
    assert "change / before" in text


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_has_colours_unless_they_are_switched_off(env, coloured):
    console = Console(force_terminal=True, width=80, _environ={"TERM": "xterm-256color"} | env)
    with console.capture() as captured:
        console.print(NeuralNetwork(2, 4, 1, seed=1).explain(XOR_X, XOR_Y))
    assert ("\x1b[1;36mdL/dW1" in captured.get()) == coloured
    assert ("36m" in captured.get()) == coloured


def test_html_is_well_formed_and_escaped():
    net, X, Y = network(activation="relu")
    page = net.explain(X, Y)._repr_html_()
    xml = re.sub(r"&(?!lt;|gt;|amp;)\w+;", "", page).replace("<br>", "<br/>")
    text = "".join(ElementTree.fromstring(xml).itertext())  # noqa: S314
    assert "∂L/∂W" in text
    assert " > 0" in text


def test_latex_balances_and_has_a_line_for_each_formula():
    net, X, Y = network(**EVERYTHING)
    step = net.explain(X, Y, optimizer="adam")
    text = step.latex()
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") - text.count(r"\leftarrow") == text.count(r"\right")
    assert text.count(r"\\") == sum(bool(line.formula.text) for line in step) - 1
    assert (
        r"\frac{\partial L}{\partial W_{1}} &= {\left(\frac{\partial Z}{\partial W_{1}}\right)}^\top"
        in text
    )
    assert r"\theta &\leftarrow \theta - " in text


def test_the_record_is_json():
    net, X, Y = network()
    X[3, 1] = np.nan
    record = json.loads(json.dumps(net.explain(X, Y).to_dict(), allow_nan=False))
    by_name = {line["name"]: line for line in record["lines"]}
    assert by_name["dL_dW1"]["formula"] == "(dZ/dW1).T @ dL/dZ1"
    assert by_name["Z1"]["largest"] == "nan"
    assert record["flags"][0]["kind"] == "NaN or infinity"
