"""CuPy installed on a machine without an NVIDIA driver: everything but CUDA works, and it is said why that does not."""

import gc
import json
import subprocess
import sys
import threading
import weakref
from contextlib import AbstractContextManager
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

from chainrule import NeuralNetwork, backends
from chainrule.bench.cell_data import cell_data
from chainrule.bench.cells import parse
from chainrule.bench.contestants import products
from chainrule.program.cuda.device import CannotCaptureError, Product
from chainrule.program.cuda.source import KernelText

pytestmark = pytest.mark.needs("cupy")


@pytest.fixture(autouse=True)
def _cupy_and_no_driver():
    import cupy

    if cupy.is_available():
        pytest.skip("there is a GPU here")


def test_the_others_can_be_used_and_cupy_says_why_not():
    found = {record.name: record for record in backends.available()}
    assert found["numpy"].usable
    assert not found["cupy"].usable
    assert found["cupy"].version
    assert "cudaError" in found["cupy"].reason
    info = [sys.executable, "-m", "chainrule", "info", "--json"]
    done = subprocess.run(info, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    (cupy,) = (row for row in json.loads(done.stdout)["backends"] if row["name"] == "cupy")
    assert not cupy["usable"]
    assert "driver" in cupy["reason"]
    remedy = r"'cupy' cannot be used here: .*try backend='numpy'"
    with pytest.raises(backends.BackendUnavailableError, match=remedy):
        NeuralNetwork(2, 3, 1, backend="cupy")


def test_a_driver_without_the_compiler_or_its_headers_is_told_from_none(monkeypatch):
    def device(_=None):
        msg = "Failed to find CUDA headers. Please install CUDA toolkit headers.\nMore."
        raise RuntimeError(msg)

    monkeypatch.setattr("cupy.cuda.Device", device)
    with pytest.raises(
        backends.BackendUnavailableError,
        match=r"Please install CUDA toolkit headers; try backend='numpy'$",
    ):
        backends.named("cupy")


def test_bfloat16_needs_a_cupy_that_computes_in_it_and_tf32_is_off_unless_asked(monkeypatch):
    from chainrule.backends.cupy import CupyBackend

    device = SimpleNamespace(id=0, compute_capability="80")
    backend = CupyBackend("cupy", None, device)
    hash(backend)
    monkeypatch.setattr("cupy.__version__", "14.0.0")
    backend.check_dtype("bfloat16")
    monkeypatch.setattr("cupy.__version__", "13.6.0")
    with pytest.raises(ValueError, match=r"bfloat16 on CuPy needs CuPy 14, this is 13\.6\.0"):
        backend.check_dtype("bfloat16")
    device.compute_capability = "75"
    with pytest.raises(
        ValueError, match=r"needs a device of compute capability 8\.0; otherwise give dtype='float16'"
    ):
        backend.check_dtype("bfloat16")
    monkeypatch.delenv("CUPY_TF32", raising=False)
    assert backend.notes == ("cupy:0: TF32 off",)
    for asked, note in (("0", "off"), ("1", "on (CUPY_TF32=1)")):
        monkeypatch.setenv("CUPY_TF32", asked)
        assert backend.notes == (f"cupy:0: TF32 {note}",)


def test_the_call_of_a_product_keeps_its_arrays(monkeypatch):
    """CuBLAS is told addresses; what lies there must not be given to anybody else before the last replay."""
    from chainrule.backends.cupy_device import CupyDevice

    monkeypatch.setattr(CupyDevice, "address", lambda _, array: array.ctypes.data)
    device, told = object.__new__(CupyDevice), []
    device._cublas = SimpleNamespace(multiply=lambda *matrices: told.append(matrices))
    arrays = [np.ones((2, 2), np.float32) for _ in range(3)]
    kept = [weakref.ref(array) for array in arrays]
    function, arguments = device.product(Product(*arrays))
    addresses = [array.ctypes.data for array in arrays]
    del arrays
    gc.collect()
    assert all(array() is not None for array in kept)
    function(*arguments)
    assert [each.address for each in told[0]] == addresses


def test_what_the_backend_asks_of_cupy_is_there():
    """Names and signatures, which need no device: what is called when there is one."""
    import cupy

    from chainrule.backends import cupy_device
    from chainrule.program.cuda.source import PRELUDE
    from support.cuda.texts import every_function, kernel_of

    text = kernel_of(every_function("float32"))[1]
    kernel = cupy.RawKernel(PRELUDE + text.source, text.name, options=cupy_device.OPTIONS)
    assert callable(kernel)
    for owner, names in {
        cupy.cuda.Stream: ("begin_capture", "end_capture", "record", "wait_event", "synchronize"),
        cupy.cuda.Graph: ("launch", "upload"),
        cupy.cuda.Event: ("record", "synchronize"),
        cupy.RawKernel: ("compile", "kernel", "max_dynamic_shared_size_bytes"),
        cupy.cuda.Function: ("ptr",),
        cupy.cuda.driver: ("funcSetAttribute",),
        cupy.cuda.Device: ("synchronize", "use"),
        cupy.cuda: ("alloc_pinned_memory", "get_current_stream", "get_elapsed_time", "compiler"),
        cupy.cuda.runtime: ("memGetInfo", "runtimeGetVersion", "getDeviceProperties"),
        cupy.ndarray: ("set", "get", "data", "flags", "view", "swapaxes"),
        cupy: ("copyto", "take", "asnumpy", "get_default_memory_pool"),
    }.items():
        assert [name for name in names if not hasattr(owner, name)] == []
    assert issubclass(
        cupy.cuda.memory.OutOfMemoryError, MemoryError
    )  # how running out of it is recognised


@pytest.fixture
def mocked(monkeypatch):
    """CuPy and cuBLAS as ``CupyDevice`` uses them, mocked."""
    from chainrule.backends import cupy_device

    cupy, cublas = MagicMock(), MagicMock()
    cupy.cuda.compiler.CompileException = RuntimeError
    facts = {"name": b"H100", "multiProcessorCount": 132, "sharedMemPerBlockOptin": 232448, "major": 9}
    cupy.cuda.runtime.getDeviceProperties.return_value = facts
    monkeypatch.setattr(cupy_device, "cupy", cupy)
    monkeypatch.setattr(cupy_device, "Cublas", cublas)
    monkeypatch.setattr(cupy_device, "find_library", MagicMock())
    monkeypatch.setattr(cupy_device, "_devices", threading.local())
    return SimpleNamespace(cupy=cupy, cublas=cublas, device_of=cupy_device.device_of)


def test_ours_and_its_bare_products_multiply_in_tf32_on_one_device_a_thread(monkeypatch, mocked):
    from chainrule.backends.cupy import CupyBackend

    backend = CupyBackend("cupy", None, MagicMock(id=0))
    monkeypatch.setenv("CUPY_TF32", "1")
    monkeypatch.setattr("chainrule.bench.contestants.ours.available", lambda _: backend)
    monkeypatch.setattr("chainrule.bench.contestants.ours.work", lambda *_: None)
    monkeypatch.setattr("chainrule.program.cuda.products_only.products", lambda *given: given)
    made = products.cupy(cell_data(parse("2-4-1,4")), "step")
    assert made.run[1] is backend.cuda_device()
    assert [call.kwargs["tf32"] for call in mocked.cublas.call_args_list] == [True]


def test_the_stream_can_be_captured_beside_other_threads_and_keeps_order_with_its_callers(mocked):
    device, outside = mocked.device_of(0, tf32=False), mocked.cupy.cuda.get_current_stream()
    mocked.cupy.cuda.Stream.assert_called_once_with(non_blocking=True)
    assert mocked.cublas.call_args.kwargs["owners"][0] is device.stream
    outside.record.return_value, device.stream.record.return_value = "before", "after"
    with device.at_work():
        device.stream.wait_event.assert_called_once_with("before")
        outside.wait_event.assert_not_called()
    outside.wait_event.assert_called_once_with("after")


def test_a_kernel_that_the_compiler_refuses_is_replayed_and_not_an_error_in_the_first_step(mocked):
    device = mocked.device_of(0, tf32=False)
    assert device.kernel(KernelText("chain_0", "")) is device.kernel(KernelText("chain_0", ""))
    mocked.cupy.RawKernel().compile.side_effect = RuntimeError("it requires .target sm_80\nand more")
    with pytest.raises(CannotCaptureError, match=r"a kernel cannot be used: it requires .target sm_80$"):
        device.kernel(KernelText("chain_1", ""))


def test_calls_are_timed_in_a_graph_of_20_or_fewer_if_they_take_long(mocked):
    device, calls = mocked.device_of(0, tf32=False), []
    for milliseconds, repeated in ((0.004, 20), (4.0, 2), (40.0, 1)):
        calls.clear()
        mocked.cupy.cuda.get_elapsed_time.return_value = milliseconds
        assert device.timed([(calls.append, ("one",))]) == milliseconds * 1e3 / repeated
        assert len(calls) == 2 + repeated  # to choose algorithms, to see how long it takes, and captured


@pytest.mark.parametrize(("status", "clusters"), [(0, 1), (0, 0), (1, 0)])
def test_the_driver_says_whether_there_is_room_for_a_cluster(monkeypatch, mocked, status, clusters):
    def occupancy(count, _kernel, config):
        assert list(config._obj) == [16, 1, 1, 256, 1, 1, 90_000, *[0] * 7]
        count._obj.value = clusters
        return status

    driver = SimpleNamespace(cuOccupancyMaxActiveClusters=occupancy)
    monkeypatch.setattr("ctypes.CDLL", lambda _: driver)
    device, text = mocked.device_of(0, tf32=False), KernelText("steps_0", "", 90_000, 16)
    mocked.cupy.RawKernel().kernel.ptr = 4096
    if clusters:
        assert device.kernel(text).keywords == {"shared_mem": 90_000}
        mocked.cupy.cuda.driver.funcSetAttribute.assert_called_once_with(4096, 14, 1)
    else:
        with pytest.raises(
            CannotCaptureError, match=f"no room for a cluster of 16 blocks .status {status}"
        ):
            device.kernel(text)


class Second(AbstractContextManager):
    """The second device, while the first is the current one."""

    id, entered = 1, 0

    def __enter__(self):
        Second.entered += 1

    def __exit__(self, *_):
        Second.entered -= 1


class OnSecond(np.ndarray):
    """An array of the second device, which has to be the current one where something is computed."""

    def __array_ufunc__(self, function, method, *inputs, out=(), **how):
        assert Second.entered, f"{function.__name__} computes on another device"
        how |= {"out": tuple(map(np.asarray, out))} if out else {}
        plain = [np.asarray(x) if isinstance(x, OnSecond) else x for x in inputs]
        return on_second(getattr(function, method)(*plain, **how))

    def __array_function__(self, function, types, arguments, how):
        assert Second.entered, f"{function.__name__} computes on another device"
        return on_second(super().__array_function__(function, types, arguments, how))


def on_second(x):
    return x.view(OnSecond) if isinstance(x, np.ndarray) else x


def test_everything_is_computed_on_the_device_of_the_network(monkeypatch):
    """CuPy computes on the device that is current, whichever one an array lies on."""
    from chainrule.backends.cupy import CupyBackend

    def copy(self, array, out=None):
        with self.device:
            return self.asarray(array) if out is None else np.copyto(out, array) or out

    for name, fake in {
        "asarray": lambda _, x, dtype=None: on_second(np.array(x, dtype=dtype, order="C")),
        "to_numpy": lambda _, x: np.array(x),
        "copy": copy,
        "available_bytes": lambda _: 1 << 40,
        "streams": lambda *_: False,
        "engine": CupyBackend.plain,
    }.items():
        monkeypatch.setattr(CupyBackend, name, fake)
    backend = CupyBackend("cupy", np, Second())
    monkeypatch.setattr("chainrule.backends.of", lambda _: backend)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    net = NeuralNetwork(4, 6, 3, loss="cross_entropy", backend=backend, seed=0)
    how = {"batch_size": 8, "validation_fraction": 0.2, "early_stopping": 2}
    for data in (X, backend.asarray(X)):
        assert np.isfinite(net.train(data, y, 3, progress=False, **how)["loss"]).all()
        net.train(data, y, 3, optimizer="adam", progress=False)
        net.backward(data, y)
        for verb in (net.feedforward, net.predict, net.predict_classes):
            verb(data)
        net.evaluate(data, y)
    net.explain(X, y)
    assert not Second.entered


def test_cublas_is_the_one_that_cupy_loads_when_it_is_asked_for(monkeypatch):
    """CuPy loads libcublas late, CuPy 14 from NVIDIA's wheels, and 13 from where the system has it."""
    from chainrule.backends import cupy_device

    class Cuda:
        runtime = SimpleNamespace(runtimeGetVersion=lambda: 12_090)
        cublas = property(lambda _: loaded.append("libcublas.so.12"))

    def by_name(name):
        if name not in loaded:
            raise OSError
        return name

    loaded = []
    monkeypatch.setattr(cupy_device, "cupy", SimpleNamespace(cuda=Cuda()))
    monkeypatch.setattr("ctypes.CDLL", by_name)
    assert cupy_device.find_library("cublas") == "libcublas.so.12"


def test_more_data_than_half_the_free_memory_stay_on_the_host(monkeypatch):
    from chainrule.backends.cupy import CupyBackend

    backend = CupyBackend("cupy", None)
    monkeypatch.setattr(CupyBackend, "available_bytes", lambda _: 1000)
    assert backend.holder(500) is backend
    assert backend.holder(501).name == "numpy"
    moved = []
    monkeypatch.setattr(CupyBackend, "asarray", lambda _, x: moved.append(x) or "on the device")
    assert backend.near(np.ones(3)) == "on the device"
    assert backend.near("an array of CuPy's") == "an array of CuPy's"
    assert len(moved) == 1
