"""Native code: products, copies, threads that run steps, the cache of compiled functions."""

import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from support.needs import need

pytestmark = need("jit", module=True)

from chainrule import NeuralNetwork
from chainrule.mathematics.optimizers import adam
from chainrule.program.chains import Chain, Operand, Output, Statement
from chainrule.program.native import compiler, instructions, products
from chainrule.program.native.runner import StepRunner
from support import engines
from support.pairs import all_pairs

SIZES = [
    (4, 4, 2),
    (1, 7, 33),
    (64, 10, 40),
    (33, 1, 100),
    (1, 1, 1),
    (3, 17, 1),
    (13, 37, 16),
    (1, 70, 1),
]


def ran(*given, steps=1):
    """Run instructions in one thread."""
    StepRunner([[given]], [np.zeros(1, np.int64)])(steps)


@pytest.mark.parametrize(
    ("size", "turned", "printed", "dtype", "how"),
    all_pairs(
        SIZES,
        [(False, False), (True, False), (False, True), (True, True)],
        [True, False],
        ["float32", "float64"],
        ["plain", "adds", "rate"],
    ),
)
def test_products_are_numpys(size, turned, printed, dtype, how, monkeypatch):
    monkeypatch.setattr(products, "PRINTED", 10**9 if printed else -1)
    m, n, k = size
    rng = np.random.default_rng(0)
    A, B = (
        rng.normal(size=shape[::-1] if turn else shape).astype(dtype)
        for shape, turn in zip(((m, k), (k, n)), turned, strict=True)
    )
    A, B = (matrix.T if turn else matrix for matrix, turn in zip((A, B), turned, strict=True))
    before = rng.normal(size=(m, n + 3)).astype(dtype)
    out, rate = before.copy(), np.array(0.25, dtype)
    given = {"plain": {}, "adds": {"adds": True}, "rate": {"rate": rate}}[how]
    product = instructions.product(A, B, out[:, :n], **given)
    ran(product)
    rate[()] = 0.5  # read at each run
    ran(product)
    factor, kept = {"plain": (1.0, 0.0), "adds": (2.0, 1.0), "rate": (-0.75, 1.0)}[how]
    bound = 4 * k * np.finfo(dtype).eps * (np.abs(A) @ np.abs(B) + np.abs(before[:, :n]) + 1)
    assert (np.abs(out[:, :n] - (kept * before[:, :n] + factor * (A @ B))) <= bound).all()
    assert (out[:, n:] == before[:, n:]).all()


@pytest.mark.parametrize("printed", [True, False])
def test_a_product_with_a_single_number_is_numpys_whatever_its_strides(printed, monkeypatch):
    # The gradient of a bias on a batch of one row: a constant 1 that was broadcast, whose strides are 0.
    monkeypatch.setattr(products, "PRINTED", 10**9 if printed else -1)
    one, row = np.broadcast_to(np.ones(()), (1, 1)), np.random.default_rng(0).normal(size=(1, 300))
    out = np.full((1, 300), np.nan)
    ran(instructions.product(one, row, out))
    assert (out == row).all()


def test_without_a_blas_large_products_are_printed(monkeypatch):
    monkeypatch.setattr(instructions, "find_blas", lambda: None)
    A = np.random.default_rng(0).normal(size=(100, 100))
    out = np.empty_like(A)
    ran(instructions.product(A, A, out))
    np.testing.assert_allclose(out, A @ A, atol=1e-12)


def test_batches_of_one_row_train_as_the_plain_step_does():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(500, 20)), rng.random(size=(500, 3))
    how = {"epochs": 8, "batch_size": 1, "learning_rate": 1e-3, "progress": False}
    nets = [NeuralNetwork(20, 300, 3, seed=0) for _ in range(2)]
    compiled, plain = (
        net.train(X, Y, **how, compile=asked)["loss"]
        for net, asked in zip(nets, (True, False), strict=True)
    )
    assert compiled == pytest.approx(plain, rel=1e-12)


def test_each_step_takes_its_rows_and_numbers_and_leaves_its_result():
    source, index = np.arange(70.0).reshape(10, 7), np.array([[9, 0, 3], [3, 1, 1]])
    rates, taken = np.array([0.5, 0.25]), np.zeros((2, 3, 9))
    step, rows, rate = np.zeros(1, np.int64), np.zeros((3, 9)), np.zeros(())
    kept = np.zeros(2)
    items = [
        instructions.gather(source, index, step, rows[:, :7]),
        instructions.put(rows, taken, step),
        instructions.take(rates, step, rate),
        instructions.put(rate, kept, step),
    ]
    StepRunner([[items]], [step])(2)
    np.testing.assert_array_equal(taken[:, :, :7], source[index])
    assert (taken[:, :, 7:] == 0).all()
    np.testing.assert_array_equal(kept, rates)


def sum_of(x, y, out):
    """Return the instruction `out = x + y`."""
    operands = tuple(Operand(name, "full", "float64") for name in "xy")
    chain = Chain(operands, (Statement("add", "z", ("x", "y")),), (Output("z"),))
    return instructions.chain(chain, (x, y), (out,))


def fibonacci(threads, columns=100):
    """Return a runner whose threads add up in turn what they have left each other, and their arrays."""
    a = [np.zeros((1, columns * (1 + thread))) for thread in range(threads)]
    b = [np.ones_like(array) for array in a]
    left = [a[thread - 1][:, :columns] for thread in range(threads)]  # what another thread writes
    first = [[sum_of(x[:, :columns], y[:, :columns], x[:, :columns])] for x, y in zip(a, b, strict=True)]
    second = [[sum_of(y[:, :columns], x, y[:, :columns])] for y, x in zip(b, left, strict=True)]
    return StepRunner([first, second], [np.zeros(1, np.int64) for _ in range(threads)]), b


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_thread_sees_what_all_have_done_in_the_phase_before(threads):
    runner, arrays = fibonacci(threads)
    for _ in range(5):
        runner(7)
    for array in arrays:
        assert (array[:, :100] == 308061521170129.0).all()  # the 71st Fibonacci number, exact in float64


def test_callers_in_several_threads_take_turns():
    made = [fibonacci(3) for _ in range(3)]
    callers = [threading.Thread(target=lambda r=runner: [r(1) for _ in range(35)]) for runner, _ in made]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for _, arrays in made:
        assert (arrays[2][:, :100] == 308061521170129.0).all()


def script(text, **environment):
    """Run a script in a process of its own; return what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=600, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )  # fmt: skip
    return result.stdout.strip()


def test_a_fork_and_ctrl_c_leave_the_threads_usable():
    folder = str(Path(__file__).parent)
    assert script(f"""
    import os, signal, sys, threading
    sys.path.insert(0, {folder!r})
    from test_native_instructions import fibonacci
    runner, _ = fibonacci(2)
    runner(1)
    child = os.fork() if hasattr(os, "fork") else None
    runner(1)
    if child == 0:
        os._exit(7)
    assert child is None or os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    try:
        threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        while True:
            runner(1)
    except KeyboardInterrupt:
        runner(1)
        print("usable")
    """) == "usable"  # fmt: skip


RUN = "from chainrule.program.native.runner import StepRunner; import numpy as np; StepRunner([[[]]], [np.zeros(1, np.int64)])(3)"


def test_a_second_process_loads_from_the_cache_what_is_whole_and_only_ours_to_write(tmp_path):
    text = f"""
        from chainrule.program.native import compiler
        compiler.emit_object = lambda text, emit=compiler.emit_object: (print('compiled'), emit(text))[1]
        {RUN}
    """
    folder = {"CHAINRULE_CACHE_DIR": str(tmp_path)}
    assert [script(text, **folder) for _ in range(2)] == ["compiled", ""]
    (stored,) = (tmp_path / "native").iterdir()
    stored.write_bytes(stored.read_bytes()[:-3])
    assert script(text, **folder) == "compiled"
    assert stored.parent.stat().st_mode & 0o777 == 0o700
    stored.chmod(0o666)
    assert [script(text, **folder) for _ in range(2)] == ["compiled", ""]
    stored.parent.chmod(0o777)
    assert [script(text, **folder) for _ in range(2)] == ["compiled", "compiled"]


def test_settings_are_no_part_of_the_code(monkeypatch):
    engines.use(monkeypatch, "native")
    counts = []
    for rate in (0.1, 0.23, 0.31):
        net = NeuralNetwork(5, 7, 3, dropout=rate, weight_decay=rate / 3, clip_norm=rate * 7, seed=0)
        net.train(np.ones((4, 5)), np.ones((4, 3)), 2, rate, optimizer=adam(beta1=rate), progress=False)
        counts.append(len(compiler._loaded))
    assert len(set(counts)) == 1


def test_the_cache_is_bounded(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiler, "_KEPT", 2)
    for columns in range(101, 105):
        ran(sum_of(*np.ones((3, 1, columns))))
    assert len(list((tmp_path / "native").iterdir())) == 2


def test_a_cache_folder_that_cannot_be_written_only_costs_the_compilation(tmp_path):
    (tmp_path / "native").write_text("a file, not a folder")
    assert script(f"{RUN}; print('ran')", CHAINRULE_CACHE_DIR=str(tmp_path)) == "ran"


def test_processes_that_compile_the_same_function_at_once_all_run_it(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CHAINRULE_CACHE_DIR": str(tmp_path),
    }
    processes = [subprocess.Popen([sys.executable, "-c", RUN], env=environment) for _ in range(4)]
    assert [process.wait(600) for process in processes] == [0] * 4
    assert len(list((tmp_path / "native").iterdir())) == 1
