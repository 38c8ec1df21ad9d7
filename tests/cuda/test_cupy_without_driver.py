"""CuPy installed on a machine without an NVIDIA driver: everything but CUDA works, and it is said why that does not."""

import gc
import json
import subprocess
import sys
import weakref
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import SimpleNamespace

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
    with pytest.raises(ValueError, match="cupy:0 does not compute in bfloat16; give dtype='float16'"):
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
    from chainrule.program.cuda.source import prelude
    from support.cuda.texts import every_function, kernel_of

    text = kernel_of(every_function("float32"))[1]
    kernel = cupy.RawKernel(prelude() + text.source, text.name, options=cupy_device.OPTIONS)
    assert callable(kernel)
    for owner, names in {
        cupy.cuda.Stream: ("begin_capture", "end_capture", "record", "wait_event", "synchronize"),
        cupy.cuda.Graph: ("launch", "upload"),
        cupy.cuda.Event: ("record", "synchronize"),
        cupy.RawKernel: ("compile",),
        cupy.cuda.Device: ("synchronize", "use"),
        cupy.cuda: ("alloc_pinned_memory", "get_current_stream", "compiler"),
        cupy.cuda.runtime: ("memGetInfo", "runtimeGetVersion", "getDeviceProperties"),
        cupy.ndarray: ("set", "get", "data", "flags", "view", "swapaxes"),
        cupy: ("copyto", "take", "asnumpy", "get_default_memory_pool"),
    }.items():
        assert [name for name in names if not hasattr(owner, name)] == []
    assert issubclass(
        cupy.cuda.memory.OutOfMemoryError, MemoryError
    )  # how running out of it is recognised


class Fakes:
    """What ``CupyDevice`` asks of CuPy, written down: streams, events, cuBLAS and the compiler."""

    def __init__(self, monkeypatch):
        import cupy

        from chainrule.backends import cupy_device

        self.log, self.made, fakes, self.refuses = [], [], self, ""

        class Stream:
            ptr = 7

            def __init__(self, name="ours", **how):
                self.name = name
                fakes.log += [(name, how)] if how else []

            def record(self):
                return f"{self.name} until {len(fakes.log)}"

            def wait_event(self, event):
                fakes.log.append((self.name, "waits for", event.partition(" ")[0]))

            def __enter__(self):
                fakes.log.append((self.name, "is current"))

            def __exit__(self, *_):
                fakes.log.append((self.name, "is left"))

        def compiled(*_, **_how):
            def compile_():
                if fakes.refuses:
                    raise cupy.cuda.compiler.CompileException(fakes.refuses, "", "", ())

            return SimpleNamespace(compile=compile_)

        outside = Stream("outside")
        monkeypatch.setattr(
            "cupy.cuda.runtime.getDeviceProperties", lambda _: {"multiProcessorCount": 132}
        )
        monkeypatch.setattr("cupy.cuda.Device", Entered)
        monkeypatch.setattr("cupy.cuda.Stream", Stream)
        monkeypatch.setattr("cupy.cuda.get_current_stream", lambda: outside)
        monkeypatch.setattr(
            "cupy.empty", lambda *_, **_how: SimpleNamespace(data=SimpleNamespace(ptr=512))
        )
        monkeypatch.setattr("cupy.RawKernel", compiled)
        monkeypatch.setattr(cupy_device, "find_cublas", lambda: None)
        monkeypatch.setattr(cupy_device, "Cublas", lambda *_, **how: self.made.append(how))
        monkeypatch.setattr(cupy_device, "_devices", cupy_device._Devices())


class Entered(nullcontext):
    """A device that can be entered, of this number."""

    @property
    def id(self):
        return self.enter_result


def test_ours_and_its_bare_products_multiply_in_tf32_on_one_device_a_thread(monkeypatch):
    from chainrule.backends.cupy import CupyBackend

    fakes, backend = Fakes(monkeypatch), CupyBackend("cupy", None, SimpleNamespace(id=0))
    monkeypatch.setenv("CUPY_TF32", "1")
    device = backend.cuda_device()
    assert backend.cuda_device() is device
    assert [how["tf32"] for how in fakes.made] == [True]
    asked = []
    monkeypatch.setattr(CupyBackend, "cuda_device", lambda self: asked.append(self) or device)
    monkeypatch.setattr("chainrule.bench.contestants.ours.available", lambda _: backend)
    monkeypatch.setattr("chainrule.bench.contestants.ours.work", lambda *_: None)
    monkeypatch.setattr("chainrule.program.cuda.products_only.products", lambda *given: given)
    backend.device.synchronize = None
    made = products.cupy(cell_data(parse("2-4-1,4")), "step")
    assert made.run[1] is device
    assert asked == [backend]
    monkeypatch.undo()


def test_the_stream_can_be_captured_beside_other_threads_and_keeps_order_with_its_callers(monkeypatch):
    from chainrule.backends.cupy_device import device_of

    fakes = Fakes(monkeypatch)
    device = device_of(0, tf32=False)
    assert fakes.log == [("ours", {"non_blocking": True})]
    fakes.log.clear()
    with device.at_work():
        fakes.log.append("work")
    assert fakes.log == [
        ("ours", "waits for", "outside"), ("ours", "is current"), "work", ("ours", "is left"), ("outside", "waits for", "ours"),
    ]  # fmt: skip


def test_a_kernel_that_the_compiler_refuses_is_replayed_and_not_an_error_in_the_first_step(monkeypatch):
    from chainrule.backends.cupy_device import device_of

    fakes = Fakes(monkeypatch)
    device, text = device_of(0, tf32=False), KernelText("chain_0", "")
    assert device.kernel(text) is device.kernel(text)
    fakes.refuses = "Feature 'cvt.bf16.f32' requires .target sm_80\nand more"
    with pytest.raises(
        CannotCaptureError, match=r"refuses a kernel: Feature 'cvt.bf16.f32' requires .target sm_80$"
    ):
        device.kernel(KernelText("chain_1", ""))


class Watched(np.ndarray):
    """An array of a device that has to be the current one where something is computed with it."""

    current = False

    def __array_ufunc__(self, function, method, *inputs, out=None, **how):
        assert Watched.current, f"{function.__name__} computes on another device"
        if out is not None:
            how["out"] = tuple(np.asarray(one) for one in out)
        return watched(getattr(function, method)(*map(plain_array, inputs), **how))

    def __array_function__(self, function, types, arguments, how):
        assert Watched.current, f"{function.__name__} computes on another device"
        return watched(super().__array_function__(function, types, arguments, how))


def plain_array(x):
    return np.asarray(x) if isinstance(x, Watched) else x


def watched(x):
    return x.view(Watched) if isinstance(x, np.ndarray) else x


@contextmanager
def current():
    before, Watched.current = Watched.current, True
    try:
        yield
    finally:
        Watched.current = before


class Second(AbstractContextManager):
    """The second device, while the first is the current one."""

    id = 1

    def __enter__(self):
        self._entered = [*getattr(self, "_entered", []), current()]
        self._entered[-1].__enter__()

    def __exit__(self, *_):
        self._entered.pop().__exit__(None, None, None)


def test_everything_is_computed_on_the_device_of_the_network(monkeypatch):
    """CuPy computes on the device that is current, whichever one an array lies on."""
    from chainrule.backends.cupy import CupyBackend

    class OnSecond(CupyBackend):
        def asarray(self, x, dtype=None):
            return watched(np.array(x, dtype=dtype, order="C"))

        def to_numpy(self, array):
            return np.array(array)

        def copy(self, array, out=None):
            with self.device:
                return self.asarray(array) if out is None else np.copyto(out, array) or out

        def available_bytes(self):
            return 1 << 40

        def streams(self, _):
            return False

        def engine(self, work):
            return self.plain(work)

    backend = OnSecond("cupy", np, Second())
    monkeypatch.setattr("chainrule.backends.of", lambda _: backend)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 4)), rng.integers(0, 3, 30)
    net = NeuralNetwork(4, 6, 3, loss="cross_entropy", backend=backend, seed=0)
    here = backend.asarray(X)
    for data in (X, here):
        history = net.train(
            data, y, 3, batch_size=8, validation_fraction=0.2, early_stopping=2, progress=False
        )
        assert np.isfinite(history["loss"]).all()
        net.train(data, y, 3, optimizer="adam", progress=False)
        net.backward(data, y)
        net.feedforward(data)
        net.predict(data)
        net.predict_classes(data)
        net.evaluate(data, y)
    assert net.explain(X, y).flags is not None
    assert not Watched.current


def test_cublas_is_found_by_its_name_where_no_search_is_installed(monkeypatch):
    """CuPy 13 comes without NVIDIA's search and loads its own libcublas late."""
    from chainrule.backends import cupy_device

    loaded = []
    monkeypatch.setattr("cupy.cuda.runtime.runtimeGetVersion", lambda: 12_090)
    monkeypatch.setattr(cupy_device, "import_module", loaded.append)
    monkeypatch.setitem(sys.modules, "cuda.pathfinder", None)
    monkeypatch.setattr("ctypes.CDLL", lambda name: (loaded[0], name))
    assert cupy_device.find_cublas() == ("cupy_backends.cuda.libs.cublas", "libcublas.so.12")


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
