"""Which backend a network uses, and what is said of those that cannot be used."""

import importlib.machinery
import sys
import types

import array_api_compat.numpy
import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.backends import Availability, BackendUnavailableError
from chainrule.mathematics.architecture import architecture
from chainrule.mathematics.initializers import draw
from chainrule.mathematics.optimizers import adam
from chainrule.mathematics.step import Batch, Progress, TrainingStep
from chainrule.program.engine import Work
from chainrule.program.epoch import Epoch

X = np.arange(6.0).reshape(2, 3)
ACCELERATORS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "jax")]


def strict_array(device="CPU_DEVICE"):
    xp = pytest.importorskip("array_api_strict")
    return xp.asarray(X, device=xp.Device(device))


# -- the order of choice -------------------------------------------------------------------------------


def test_without_a_word_the_first_arrays_decide():
    net = NeuralNetwork(3, 2, 1)
    net.feedforward(strict_array("device1"))
    assert net.backend.describe().startswith("array_api_strict:")
    assert "device1" in net.backend.describe()


def test_without_a_word_host_data_stay_on_numpy():
    for given in (X, X.tolist()):
        net = NeuralNetwork(3, 2, 1)
        assert isinstance(net.feedforward(given), np.ndarray)
        assert net.backend.name == "numpy"


def test_the_environment_decides_before_the_arrays(monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "numpy")
    net = NeuralNetwork(3, 2, 1)
    assert net.backend.name == "numpy"
    with pytest.raises(TypeError, match=r"X is on array_api_strict.*network is on numpy"):
        net.feedforward(strict_array())


def test_the_argument_decides_before_the_environment(monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "nonsense")
    assert NeuralNetwork(3, 2, 1, backend="numpy").backend.name == "numpy"
    with pytest.raises(ValueError, match="unknown backend 'nonsense'"):
        NeuralNetwork(3, 2, 1)


def test_an_empty_environment_variable_decides_nothing(monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "")
    assert backends.get() is None


@pytest.mark.needs("torch")
def test_the_environment_may_name_a_device(monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "torch:cpu")
    assert NeuralNetwork(3, 2, 1).backend.describe() == "torch:cpu"


# -- names, namespaces, devices ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"), [("nunpy", "numpy"), ("cuda", "cupy"), ("pytorch", "torch"), ("jaxx:cpu", "jax")]
)
def test_an_unknown_name_is_answered_with_the_nearest(given, meant):
    with pytest.raises(
        ValueError, match=f"unknown backend '{given}'; did you mean '{meant}'.*known: cupy, jax, numpy"
    ):
        backends.named(given)


def test_a_namespace_is_taken_for_its_library():
    assert backends.get(np) == backends.named("numpy")
    assert backends.get(array_api_compat.numpy) == backends.named("numpy")
    xp = pytest.importorskip("array_api_strict")
    assert backends.get(xp).name == "array_api_strict"
    assert backends.get(xp) == backends.of(xp.ones(1))


@pytest.mark.parametrize("library", ACCELERATORS)
def test_a_namespace_of_an_accelerator_is_taken_for_it(library):
    xp = {"torch": "array_api_compat.torch", "jax": "jax.numpy"}[library]
    module = pytest.importorskip(xp)
    assert backends.get(module) == backends.named(library)
    assert backends.named(library).default_dtype == "float64"
    device = {"torch": "torch:cpu", "jax": "jax:cpu:0"}[library]  # as the library names it
    for name in (library, f"{library}:cpu", device):
        assert backends.named(name).describe() == device
    assert backends.of(backends.named(library).asarray(X)) == backends.named(library)


def test_two_devices_of_one_library_are_two_backends():
    one, other = backends.of(strict_array()), backends.of(strict_array("device1"))
    assert one != other
    assert backends.of(strict_array("device1")) == other


def test_an_object_that_is_no_namespace_is_refused():
    with pytest.raises(TypeError, match="no Array API namespace"):
        backends.get(types.SimpleNamespace(asarray=np.asarray))


# -- what a backend does -------------------------------------------------------------------------------


def test_arrays_go_there_and_come_back_as_they_were(backend):
    for dtype in ("float32", "float64", "int32"):
        there = backend.asarray(X, dtype)
        assert there.dtype == backend.dtype(dtype)
        back = backend.to_numpy(there)
        assert type(back) is np.ndarray
        assert back.dtype == dtype
        assert (back == X).all()
    backend.synchronize(there)


def test_a_copy_shares_no_memory(backend):
    there = backend.asarray(X)
    copy = backend.copy(there)
    assert type(copy) is type(there)
    assert (backend.to_numpy(copy) == X).all()
    assert not np.shares_memory(backend.to_numpy(copy), backend.to_numpy(there))


def test_an_engine_does_what_the_plain_step_does(backend):
    net, optimizer = architecture((3, 4, 2)), adam()
    theta = draw(net, seed=0)
    ends = []
    for make in (backend.engine, backend.plain):
        start = backend.asarray(theta, "float64")
        start = backend.copy(start)
        data = Batch(
            backend.asarray(np.ones((5, 3)), "float64"), backend.asarray(np.zeros((5, 2)), "float64")
        )
        work = Work(TrainingStep(net, optimizer), Progress(start, optimizer.init(start)), data, [(0, 5)])
        engine = make(work)
        losses = [engine.run(Epoch(None, [0.1], None), lambda: None)[0] for _ in range(3)]
        ends.append((backend.to_numpy(engine.progress.theta), losses))
    (ours, losses), (plain, plain_losses) = ends
    assert not np.array_equal(plain, theta)
    np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-12)


# -- which can be used here ----------------------------------------------------------------------------


def record(name):
    return next(found for found in backends.available() if found.name == name)


def test_numpy_can_always_be_used():
    assert record("numpy") == Availability(
        "numpy", usable=True, version=np.__version__, devices=("cpu",)
    )


def test_every_known_backend_has_a_record_that_says_something():
    found = backends.available()
    assert [one.name for one in found] == ["numpy", "cupy", "torch", "jax"]
    for one in found:
        if one.usable:
            assert one.version
            assert one.devices
            assert one.reason == ""
        else:
            assert one.reason
            assert "\n" not in one.reason


@pytest.mark.parametrize("library", ACCELERATORS)
def test_an_installed_library_is_used_with_its_version_and_its_device(library):
    module = pytest.importorskip(library)
    found = record(library)
    assert found.usable
    assert found.version == module.__version__
    assert any("cpu" in device for device in found.devices)


def test_a_library_that_is_absent_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    assert record("jax") == Availability(
        "jax", usable=False, reason="not installed: pip install 'chainrule[jax]'"
    )


def without(monkeypatch, *modules):
    for name in modules:
        monkeypatch.delitem(sys.modules, name, raising=False)
    # The room is an attribute of its package as well.
    monkeypatch.delattr(backends, "cupy", raising=False)


@pytest.fixture
def cupy_without_a_device(monkeypatch):
    """A CuPy that imports but whose every use of a device fails, as on a machine without a GPU."""

    class CUDARuntimeError(RuntimeError):
        pass

    def device(_=None):
        msg = "cudaErrorNoDevice: no CUDA-capable device is detected"
        raise CUDARuntimeError(msg)

    fake = types.ModuleType("cupy")
    fake.__spec__ = importlib.machinery.ModuleSpec("cupy", None)
    fake.__version__ = "99.1.2"
    runtime = types.SimpleNamespace(CUDARuntimeError=CUDARuntimeError, getDeviceCount=device)
    memory = types.SimpleNamespace(OutOfMemoryError=MemoryError)
    fake.cuda = types.SimpleNamespace(runtime=runtime, memory=memory, Device=device)
    without(monkeypatch, "chainrule.backends.cupy")
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", types.ModuleType("array_api_compat.cupy"))
    yield
    without(monkeypatch, "chainrule.backends.cupy")


@pytest.mark.usefixtures("cupy_without_a_device")
def test_a_library_that_imports_and_has_no_device_is_not_usable():
    found = record("cupy")
    assert not found.usable
    assert found.version == "99.1.2"
    assert "no CUDA-capable device is detected" in found.reason


NO_DEVICE = r"no CUDA-capable device is detected.*try backend='numpy'"


@pytest.mark.usefixtures("cupy_without_a_device")
@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("cupy", BackendUnavailableError, NO_DEVICE),
        ("cupy:0", BackendUnavailableError, NO_DEVICE),
        ("cupy:gpu", ValueError, "devices are numbers, got 'gpu'"),
    ],
)
def test_asking_for_a_device_that_is_not_there_says_why_and_what_would_help(name, error, said):
    with pytest.raises(error, match=said):
        NeuralNetwork(3, 2, 1, backend=name)


@pytest.mark.parametrize("error", ["ImportError", "OSError", "AttributeError", "RuntimeError"])
def test_a_library_that_does_not_import_is_not_usable_and_says_why(monkeypatch, tmp_path, error):
    (tmp_path / "cupy").mkdir()
    (tmp_path / "cupy" / "__init__.py").write_text(
        f"raise {error}('libcublas.so.12 is missing\\nmore')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    without(monkeypatch, "cupy", "chainrule.backends.cupy", "array_api_compat.cupy")
    found = record("cupy")
    assert (found.usable, found.version, found.reason) == (False, None, "libcublas.so.12 is missing")
    with pytest.raises(
        BackendUnavailableError, match=r"installed but does not import: libcublas.so.12 is missing$"
    ):
        backends.named("cupy")


# -- CUDA ----------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.needs("cupy")
def test_cupy_is_used_with_its_version_and_its_devices():
    found = record("cupy")
    assert found.usable, found.reason
    assert found.devices[0].startswith("0 (")
    assert backends.named("cupy:0").describe() == "cupy:0"


@pytest.mark.gpu
@pytest.mark.needs("cupy")
def test_x_on_cupy_trains_on_cupy_and_is_not_copied_to_the_host(monkeypatch):
    import cupy

    net = NeuralNetwork(3, 4, 1, activation="relu", loss="mean_squared_error", seed=0)
    net.train(cupy.asarray(X), [[0.0], [1.0]], 2, batch_size=1, progress=False)
    assert net.backend.describe() == "cupy:0"
    assert isinstance(net.predict(cupy.asarray(X)), cupy.ndarray)
