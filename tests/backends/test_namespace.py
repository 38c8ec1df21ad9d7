"""Array libraries that the package does not know by name: what they must have, and what is said of what they lack."""

import re
from pathlib import Path

import array_api_strict as xp
import numpy as np
import pytest
from typer.testing import CliRunner

from chainrule import NeuralNetwork, backends
from chainrule.backends import BackendUnavailableError, namespace
from chainrule.cli.app import app
from chainrule.mathematics import arrays
from support.compare import parameters

X, Y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
PAGE = Path(__file__).parents[2] / "docs" / "backends.md"


def trained(backend=xp, **how):
    net = NeuralNetwork(2, 4, 1, dropout=0.5, backend=backend, seed=1)
    net.train(X, Y, 3, progress=False, **how)
    return net


def absent(monkeypatch, name):
    monkeypatch.delattr(xp, name)


def wrong(monkeypatch, name):
    monkeypatch.setattr(xp, name, xp.zeros_like)


BROKEN = [
    (absent, "tanh", r"tanh of \(2, 4\) raises AttributeError: module 'array_api_strict' has no attribute 'tanh'"),
    (wrong, "tanh", r"tanh of \(2, 4\) gives 0.0, NumPy -?0\.\d+"),
    (absent, "take", r"namespace\(part\).take raises AttributeError: .* 'take'"),
]  # fmt: skip


@pytest.mark.parametrize(("how", "name", "message"), BROKEN)
def test_a_function_that_is_missing_or_wrong_is_named_before_training_and_by_info(
    monkeypatch, how, name, message
):
    how(monkeypatch, name)
    with pytest.raises(BackendUnavailableError) as refused:
        trained()
    line = str(refused.value)
    assert re.fullmatch(
        f"backend 'array_api_strict' cannot run the step: {message}; .*every function", line
    )
    result = CliRunner().invoke(app, ["info", "--namespace", "array_api_strict"])
    assert result.exit_code == 1
    assert any(re.search(f"{name}.* (raises|gives) ", text) for text in result.stdout.splitlines())


def test_info_says_that_a_library_trains_as_numpy_does():
    result = CliRunner().invoke(app, ["info", "--namespace", "array_api_strict"])
    assert result.exit_code == 0, result.output
    assert (
        result.stdout
        == f"array_api_strict {xp.__version__}: trains, predicts, saves and loads as NumPy does\n"
    )


def test_a_library_without_devices_trains(monkeypatch):
    def without_device(function):
        def refusing(*given, **settings):
            assert "device" not in settings
            return function(*given, **settings)

        return refusing

    wanted = parameters(trained("numpy"))
    for name in ("asarray", "arange"):
        monkeypatch.setattr(xp, name, without_device(getattr(xp, name)))
    for room in (arrays, namespace):
        monkeypatch.setattr(room, "device" if room is arrays else "device_of", lambda _array: None)
    monkeypatch.setattr(namespace, "_default_device", lambda _xp: None)
    np.testing.assert_allclose(parameters(trained()), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("gone", "message"), [(["__array__"], ""), (["__dlpack__"], ""), (["__array__", "__dlpack__", "__buffer__"], "host")]
)  # fmt: skip
def test_arrays_come_to_the_host_by_dlpack_or_by_numpy(monkeypatch, gone, message):
    def refuse(*_args, **_how):
        raise RuntimeError(message)

    for name in gone:
        monkeypatch.setattr(type(xp.ones(1)), name, refuse, raising=False)
    if message:
        with pytest.raises(TypeError, match="its arrays cannot be copied to the host"):
            backends.get(xp)
    else:
        assert backends.get(xp).to_numpy(xp.asarray([1.0, 2.0])).tolist() == [1.0, 2.0]


def test_the_page_lists_libraries_as_the_weekly_check_reads_them():
    table = PAGE.read_text(encoding="utf-8").partition("| module | packages |")[2].partition("\n\n")[0]
    rows = table.splitlines()[2:]
    pattern = r"\| `[\w.]+` \| `[^`]+` \| \S+ \| (trains|refused)[^|]* \| \d{4}-\d\d-\d\d \|"
    assert len(rows) >= 10
    assert [row for row in rows if not re.fullmatch(pattern, row)] == []
    assert f"| `array_api_strict` | `array-api-strict` | {xp.__version__} | trains |" in table
