"""On a GPU: every kernel and the captured step against NumPy and the plain step, in float64."""

import numpy as np
import pytest

from chainrule.program.chains import DTYPES, HALVES
from chainrule.program.cuda.engine import GraphEngine
from chainrule.program.cuda.persistent_engine import PersistentEngine, fastest, side_by_side
from chainrule.program.cuda.products_only import products
from chainrule.program.cuda.stream import StreamEngine
from chainrule.program.engine import Epoch, Work
from chainrule.program.fusion import Extent
from support.compare import relative_error
from support.cuda.checks import BIAS_TANH, GRIDS, SOFTMAX, UPDATE, check
from support.cuda.texts import every_function
from support.cuda.work import on_device, trained, uploaded
from support.engines import worst
from support.steps import CASES, Case, epochs, host, made_work, plain, ran

pytestmark = pytest.mark.gpu

EPSILON = np.finfo(np.float64).eps
LIMIT = 2**12 * EPSILON  # CUDA's functions are within 2 ulp, and its products add in another order


def is_captured(engine):
    return all(chunk.run.graph is not None for chunk in engine._chunks.values())


@pytest.mark.parametrize("dtype", [name for name in DTYPES if name not in {"bool", *HALVES}])
def test_every_function_in_every_dtype(gpu, rng, dtype):
    check(gpu, every_function(dtype), Extent(5, 12), rng, ulps=8)


@pytest.mark.parametrize("aligned", [True, False], ids=["wide", "narrow"])
@pytest.mark.parametrize("chain", [BIAS_TANH, SOFTMAX, UPDATE], ids=["tile", "row", "flat"])
def test_every_form_on_every_shape(gpu, rng, chain, aligned):
    for rows, columns in (*GRIDS, (70000, 33), (1, 1 << 22), (4, 40000)):
        check(gpu, chain, Extent(rows, columns), rng, aligned=aligned, ulps=512)


@pytest.mark.parametrize("batch_size", [None, 4], ids=["whole", "ragged"])
def test_the_captured_step_is_the_plain_one(gpu, batch_size):
    for name, case in CASES.items():
        got, wanted = trained(gpu, case, batch_size=batch_size, count=4)
        assert worst(got, wanted) < LIMIT * (2**6 if "adam" in name else 1), name


@pytest.mark.parametrize("compute", [None, *HALVES])
@pytest.mark.parametrize("sizes", [(128, 256, 64), (129, 256, 62), (129, 255, 63)], ids=str)
def test_the_captured_step_by_cublaslt_is_the_plain_one(gpu, monkeypatch, tmp_path, sizes, compute):
    """All begin at multiples of 16 bytes; the weights do not; neither do the biases, which cuBLASLt then cannot add."""
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    limit = 2**14 * np.finfo(np.float32).eps if compute is None else 2.0**-8
    for activation, asked in (("relu", ""), ("relu", "lt"), ("identity", "lt")):
        monkeypatch.setenv("CHAINRULE_EPILOGUE", asked)
        case = Case(sizes, activation, "cross_entropy", additions={"compute": compute})
        engine = GraphEngine(on_device(gpu, made_work(case, 512, "float32", 200)), gpu)  # and 112
        assert len(engine.notes) == 4
        words = "multiple of 16 bytes" if sizes[1] == 255 else "cuBLASLt, as" if asked else "timed"
        assert all(words in note for note in engine.notes)
        full = made_work(Case(sizes, activation, "cross_entropy"), 512, "float32", 200)
        plans = epochs(full, 3)
        assert worst(ran(engine, plans), ran(plain(full), plans)) < limit
        assert is_captured(engine)


def test_the_persistent_step_is_the_plain_one(gpu):
    for name, case in CASES.items():
        work = made_work(case, 11, batch_size=4)
        engine, plans = fastest(on_device(gpu, made_work(case, 11, batch_size=4)), gpu), epochs(work, 3)
        assert isinstance(engine, PersistentEngine)
        limit = LIMIT * (2**6 if "adam" in name else 1)
        assert worst(ran(engine, plans), ran(plain(work), plans)) < limit, name


@pytest.mark.parametrize("most_blocks", [16, 8])
def test_the_persistent_steps_of_clusters_are_the_plain_one(gpu, monkeypatch, most_blocks):
    if gpu.most_blocks == 1:
        pytest.skip("this device has no clusters")
    monkeypatch.setattr(gpu, "most_blocks", most_blocks)
    case = Case((64, 64), "relu", "cross_entropy", "momentum")
    works = [made_work(case, 1100, "float32", 512) for _ in range(2)]  # and 76
    works[1].progress.theta[...] *= 2
    pack, plans = side_by_side([on_device(gpu, work) for work in works], gpu), epochs(works[0])
    assert pack.engines[0].kernels[512].text.blocks in {8, most_blocks}
    with gpu.at_work():
        losses = [pack.run(dict.fromkeys(pack.engines, plan), lambda: None) for plan in plans]
    for work, engine in zip(works, pack.engines, strict=True):
        theta, state = engine.progress
        got = np.concatenate([each[engine] for each in losses]), [host(part) for part in (theta, *state)]
        assert worst(got, ran(plain(work), plans)) < 2**12 * np.finfo(np.float32).eps


@pytest.mark.parametrize("straight", [False, True])
@pytest.mark.parametrize("sizes", [(256, 128), (1000, 30)], ids=str)
def test_wide_layers_and_many_rows(gpu, monkeypatch, sizes, straight):
    monkeypatch.setattr("chainrule.program.cuda.planning.LARGE", 0 if straight else 10**9)

    def work():
        return made_work(Case(sizes, "gelu", "cross_entropy"), 4000, batch_size=1024)

    plans = epochs(work(), 3)
    engine = GraphEngine(on_device(gpu, work()), gpu)
    assert worst(ran(engine, plans), ran(plain(work()), plans)) < 2**14 * EPSILON
    assert is_captured(engine)


def test_a_learning_rate_changed_in_mid_run_reaches_the_graph(gpu):
    work = on_device(gpu, made_work(Case(), 11))
    engine = GraphEngine(work, gpu)
    ran(engine, [Epoch(None, [(0, 11)], [0.1], None)] * 3)
    assert is_captured(engine)
    before = host(engine.progress.theta)
    ran(engine, [Epoch(None, [(0, 11)], [0.0], None)])
    np.testing.assert_array_equal(host(engine.progress.theta), before)
    ran(engine, [Epoch(None, [(0, 11)], [0.1], None)])
    assert not np.array_equal(host(engine.progress.theta), before)


def test_memory_filled_after_capture_does_not_disturb_a_replay(gpu):
    import cupy

    plans = epochs(made_work(Case(optimizer="adam"), 11, batch_size=4), 6)
    wanted = ran(plain(made_work(Case(optimizer="adam"), 11, batch_size=4)), plans)
    engine = GraphEngine(on_device(gpu, made_work(Case(optimizer="adam"), 11, batch_size=4)), gpu)
    losses = list(ran(engine, plans[:2])[0])
    kept = [cupy.full(size, np.nan) for size in (1, 7, 64, 111, 4096, 1 << 20) for _ in range(20)]
    more, changed = ran(engine, plans[2:])
    assert worst((np.array(losses + list(more)), changed), wanted) < LIMIT * 2**6
    del kept


def test_ten_thousand_replays_take_no_more_memory(gpu):
    import cupy

    engine = GraphEngine(on_device(gpu, made_work(Case(optimizer="adam"), 64, "float32", 32)), gpu)
    plan = epochs(made_work(Case(optimizer="adam"), 64, "float32", 32), 1)
    ran(engine, plan * 10)
    pool = cupy.get_default_memory_pool()
    used, held = pool.used_bytes(), pool.total_bytes()
    free = cupy.cuda.runtime.memGetInfo()[0]
    ran(engine, plan * 10_000)
    assert (pool.used_bytes(), pool.total_bytes()) == (used, held)
    assert free - cupy.cuda.runtime.memGetInfo()[0] < 1 << 20


def test_two_networks_train_side_by_side(gpu):
    from chainrule.backends.cupy_device import CupyDevice

    other = CupyDevice(gpu._device)
    works = [made_work(Case(loss=loss), 11, batch_size=4) for loss in ("squared_error", "cross_entropy")]
    engines = [GraphEngine(on_device(d, w), d) for d, w in zip((gpu, other), works, strict=True)]
    plans = [epochs(work, 4) for work in works]
    losses = [[], []]
    for turn in range(4):
        for n, engine in enumerate(engines):
            losses[n] += list(ran(engine, plans[n][turn : turn + 1])[0])
    for n, work in enumerate(works):
        assert relative_error(losses[n], ran(plain(work), plans[n])[0]) < LIMIT


@pytest.mark.parametrize("batch_size", [None, 4, 512], ids=["whole", "ragged", "large"])
def test_batches_from_the_host_train_the_same(gpu, batch_size):
    def work():
        return made_work(Case(loss="cross_entropy"), rows, batch_size=batch_size)

    rows = 3000 if batch_size == 512 else 15
    plans = epochs(work(), 3)
    mine = work()
    mine = Work(mine.step, uploaded(gpu, mine.progress), mine.data, mine.bounds)
    assert worst(ran(StreamEngine(mine, gpu), plans), ran(plain(work()), plans)) < LIMIT


@pytest.mark.parametrize("half", HALVES)
def test_16_bits_go_the_way_of_float32(gpu, half):
    import ml_dtypes  # noqa: F401  NumPy then knows bfloat16

    full, low = (Case((32, 16), "tanh", "cross_entropy", additions={"compute": c}) for c in (None, half))
    wanted = trained(gpu, full, 40, dtype="float32")[1]
    engine = GraphEngine(on_device(gpu, made_work(low, 40, "float32")), gpu)
    assert 0 < worst(ran(engine, epochs(made_work(low, 40, "float32"), 3)), wanted) < 2.0**-6
    assert is_captured(engine)


def test_the_bare_products_are_a_graph(gpu):
    work = on_device(gpu, made_work(Case(), 64, "float32"))
    run = products(work, gpu, 4)
    with gpu.at_work():
        run()
        run()
    assert run.graph is not None
    assert np.isfinite(host(work.progress.theta)).all()


def test_the_bare_products_write_to_memory_of_its_own(gpu):
    import cupy

    work = on_device(gpu, made_work(Case((64, 32)), 64, "float32"))
    run = products(work, gpu, 2)
    sizes = (64, 512, 8192, 16384, 1 << 16) * 50
    filled = [cupy.ones(size, dtype=cupy.uint8) for size in sizes]
    with gpu.at_work():
        for _ in range(3):
            run()
    assert all(bool((array == 1).all()) for array in filled)
