"""A network shows itself in one line, and its layers as a table."""

from chainrule import Activation, NeuralNetwork
from chainrule.mathematics.activations import tanh


def test_a_network_and_its_program_are_one_line_each():
    net = NeuralNetwork(64, (128, 64), 10, activation="relu", loss="cross_entropy", dtype="float32")
    assert repr(net) == (
        "NeuralNetwork(64-128-64-10 (relu, relu, identity), cross_entropy, 17,226 parameters)"
    )
    plan = net.program(8)
    assert repr(plan) == f"Plan({len(plan.operations)} operations, 8 matrix products, 686,080 FLOPs)"
    assert repr(plan.program) == repr(plan).replace("Plan", "Program")


def test_the_summary_has_a_line_a_layer_and_places_the_network_nowhere():
    own = Activation("<mine>", tanh.value, tanh.derivative)
    net = NeuralNetwork(2, 4, 1, activation=own, seed=0)
    summary = net.summary()
    assert str(summary).splitlines() == [
        "layer  shape   activation  parameters  memory",
        "1      2 -> 4  <mine>              12    96 B",
        "2      4 -> 1  sigmoid              5    40 B",
        "total                              17   136 B",
    ]
    html = summary._repr_html_()
    assert "<td>2 -&gt; 4</td><td>&lt;mine&gt;</td><td>12</td>" in html
    assert html.count("<tr>") == 4
    assert net._backend is None
