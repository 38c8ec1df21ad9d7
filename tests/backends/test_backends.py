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
from chainrule.program.engine import Epoch, Work

X = np.arange(6.0).reshape(2, 3)
ACCELERATORS = [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "jax")]


def strict_array(device="CPU_DEVICE"):
    xp = pytest.importorskip("array_api_strict")
    return xp.asarray(X, device=xp.Device(device))


# -- the order of choice -------------------------------------------------------------------------------


def test_without_a_word_the_first_arrays_decide_and_host_data_stay_on_numpy():
    net = NeuralNetwork(3, 2, 1)
    net.feedforward(strict_array("device1"))
    assert net.backend.describe().startswith("array_api_strict:")
    assert "device1" in net.backend.describe()
    for given in (X, X.tolist()):
        net = NeuralNetwork(3, 2, 1)
        assert isinstance(net.feedforward(given), np.ndarray)
        assert net.backend.name == "numpy"


def test_the_environment_decides_before_the_arrays_and_the_argument_before_it(monkeypatch):
    monkeypatch.setenv("CHAINRULE_BACKEND", "numpy")
    net = NeuralNetwork(3, 2, 1)
    assert net.backend.name == "numpy"
    with pytest.raises(TypeError, match=r"X is on array_api_strict.*network is on numpy"):
        net.feedforward(strict_array())
    monkeypatch.setenv("CHAINRULE_BACKEND", "nonsense")
    assert NeuralNetwork(3, 2, 1, backend="numpy").backend.name == "numpy"
    with pytest.raises(ValueError, match="unknown backend 'nonsense'"):
        NeuralNetwork(3, 2, 1)
    monkeypatch.setenv("CHAINRULE_BACKEND", "")
    assert backends.get() is None


# -- names, namespaces, devices ------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest():
    for name, meant in (("nunpy", "numpy"), ("cuda", "cupy"), ("pytorch", "torch"), ("jaxx", "jax")):
        problem = f"unknown backend '{name}'; did you mean '{meant}'.*known: cupy, jax, numpy"
        with pytest.raises(ValueError, match=problem):
            backends.named(f"{name}:cpu")


def test_a_namespace_is_taken_for_its_library_and_its_devices_are_several_backends():
    assert backends.get(np) == backends.get(array_api_compat.numpy) == backends.named("numpy")
    xp = pytest.importorskip("array_api_strict")
    assert backends.get(xp).name == "array_api_strict"
    assert backends.get(xp) == backends.of(xp.ones(1)) == backends.of(strict_array())
    assert backends.of(strict_array("device1")) == backends.of(strict_array("device1"))
    assert backends.of(strict_array("device1")) != backends.of(strict_array())
    with pytest.raises(TypeError, match="not an Array API namespace"):
        backends.get(types.SimpleNamespace(tanh=np.tanh))


@pytest.mark.parametrize("library", ACCELERATORS)
def test_an_installed_accelerator_is_used_by_its_namespace_name_device_or_the_environment(
    library, monkeypatch
):
    xp = {"torch": "array_api_compat.torch", "jax": "jax.numpy"}[library]
    backend = backends.named(library)
    assert backends.get(pytest.importorskip(xp)) == backends.of(backend.asarray(X)) == backend
    assert backend.default_dtype == "float64"
    device = {"torch": "torch:cpu", "jax": "jax:cpu:0"}[library]  # as the library names it
    for name in (library, f"{library}:cpu", device):
        monkeypatch.setenv("CHAINRULE_BACKEND", name)
        assert NeuralNetwork(3, 2, 1).backend.describe() == backends.named(name).describe() == device
    found = record(library)
    assert (found.usable, found.version) == (True, pytest.importorskip(library).__version__)
    assert any("cpu" in device for device in found.devices)


# -- what a backend does -------------------------------------------------------------------------------


def test_arrays_go_there_and_come_back_as_they_were_and_copies_share_no_memory(backend):
    for dtype in ("float32", "float64", "int32"):
        there = backend.asarray(X, dtype)
        assert there.dtype == backend.dtype(dtype)
        back = backend.to_numpy(there)
        assert type(back) is np.ndarray
        assert back.dtype == dtype
        assert (back == X).all()
        copy = backend.copy(there)
        assert type(copy) is type(there)
        assert (backend.to_numpy(copy) == X).all()
        assert not np.shares_memory(backend.to_numpy(copy), back)
    backend.synchronize(there)


@pytest.mark.parametrize("bounds", [[(0, 5)], [(0, 2), (2, 4), (4, 5)]], ids=["whole", "batches"])
def test_an_engine_does_what_the_plain_step_does_and_the_same_in_parts(backend, bounds):
    net, optimizer = architecture((3, 4, 2)), adam()
    theta = draw(net, seed=0)
    data = Batch(*(backend.asarray(part, "float64") for part in (np.ones((5, 3)), np.zeros((5, 2)))))
    ends, order = [], None if len(bounds) == 1 else np.array([3, 0, 4, 1, 2])
    epoch = Epoch(order, bounds, [0.1, 0.2, 0.3][: len(bounds)], None)
    one_by_one = [epoch.part(step, step + 1) for step in range(len(bounds))]
    runs = (backend.engine, [epoch] * 3), (backend.engine, one_by_one * 3), (backend.plain, [epoch] * 3)
    for make, parts in runs:
        start = backend.copy(backend.asarray(theta, "float64"))
        work = Work(TrainingStep(net, optimizer), Progress(start, optimizer.init(start)), data, bounds)
        engine = make(work)
        losses = [loss for part in parts for loss in engine.run(part, lambda: None)]
        ends.append((backend.to_numpy(engine.progress.theta), losses))
    assert not np.array_equal(ends[0][0], theta)
    for ours, in_parts, plain in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(in_parts, ours)


# -- which can be used here ----------------------------------------------------------------------------


def record(name):
    return next(found for found in backends.available() if found.name == name)


def test_every_known_backend_has_a_record_with_its_version_or_a_reason():
    found = backends.available()
    assert [one.name for one in found] == ["numpy", "cupy", "torch", "jax"]
    assert found[0] == Availability("numpy", usable=True, version=np.__version__, devices=("cpu",))
    for one in found:
        assert bool(one.reason) != one.usable
        assert "\n" not in one.reason
        assert not one.usable or (one.version and one.devices)


def test_a_library_that_is_absent_says_what_to_install(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    reason = "not installed: pip install '.[jax]' in a clone of chainrule"
    assert record("jax") == Availability("jax", usable=False, reason=reason)


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
    driver = types.SimpleNamespace(CUDADriverError=CUDARuntimeError)
    classes = {"Stream": object, "Event": object, "Device": device}
    fake.cuda = types.SimpleNamespace(runtime=runtime, driver=driver, memory=memory, **classes)
    without(monkeypatch, "chainrule.backends.cupy", "chainrule.backends.cupy_device")
    monkeypatch.setitem(sys.modules, "cupy", fake)
    monkeypatch.setitem(sys.modules, "array_api_compat.cupy", types.ModuleType("array_api_compat.cupy"))
    yield
    without(monkeypatch, "chainrule.backends.cupy", "chainrule.backends.cupy_device")


@pytest.mark.usefixtures("cupy_without_a_device")
def test_a_library_that_imports_and_has_no_device_is_not_usable_and_says_what_would_help():
    found = record("cupy")
    assert (found.usable, found.version) == (False, "99.1.2")
    assert "no CUDA-capable device is detected" in found.reason
    for name in ("cupy", "cupy:0"):
        said = r"no CUDA-capable device is detected.*try backend='numpy'"
        with pytest.raises(BackendUnavailableError, match=said):
            NeuralNetwork(3, 2, 1, backend=name)
    with pytest.raises(ValueError, match="devices are numbers, got 'gpu'"):
        NeuralNetwork(3, 2, 1, backend="cupy:gpu")


@pytest.mark.parametrize("error", ["ImportError", "OSError", "AttributeError", "RuntimeError"])
def test_a_library_that_does_not_import_is_not_usable_and_says_why(monkeypatch, tmp_path, error):
    (tmp_path / "cupy").mkdir()
    code = f"raise {error}('libcublas.so.12 is missing\\nmore')\n"
    (tmp_path / "cupy" / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    without(monkeypatch, "cupy", "chainrule.backends.cupy", "array_api_compat.cupy")
    found = record("cupy")
    assert (found.usable, found.version, found.reason) == (False, None, "libcublas.so.12 is missing")
    said = r"installed but does not import: libcublas.so.12 is missing$"
    with pytest.raises(BackendUnavailableError, match=said):
        backends.named("cupy")


# -- CUDA ----------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.needs("cupy")
def test_cupy_is_used_with_its_devices_and_x_on_it_is_not_copied_to_the_host():
    import cupy

    found = record("cupy")
    assert found.usable, found.reason
    assert found.devices[0].startswith("0 (")
    assert backends.named("cupy:0").describe() == "cupy:0"
    net = NeuralNetwork(3, 4, 1, activation="relu", loss="mean_squared_error", seed=0)
    net.train(cupy.asarray(X), [[0.0], [1.0]], 2, batch_size=1, progress=False)
    assert net.backend.describe() == "cupy:0"
    assert isinstance(net.predict(cupy.asarray(X)), cupy.ndarray)
