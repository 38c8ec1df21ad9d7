"""Products, gathers, tables, the worker pool, the cache of compiled functions."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from support.needs import need

pytestmark = need("jit", module=True)

from chainrule.program.chains import Chain, Operand, Output, Statement
from chainrule.program.native import compiler
from chainrule.program.native import matmul as room
from chainrule.program.native.interpreter import InstructionTable, call_chain, gather_rows
from chainrule.program.native.matmul import matmul
from chainrule.program.native.workers import WorkerPool
from support.engines import distance
from support.steps import Case

SIZES = [
    *((4, 4, 2), (1, 7, 33), (8, 8, 8), (64, 10, 256), (33, 1, 100)),
    *((1, 1, 1), (5, 20, 3), (3, 17, 1), (100, 17, 40)),
]


TURNED = [(False, False), (True, False), (False, True), (True, True)]
HOWS = [(dtype, small) for dtype in ("float32", "float64") for small in (0, 10**9)]


@pytest.mark.parametrize(("dtype", "small"), HOWS)
def test_products_are_numpys_also_added_to_what_is_there(dtype, small, monkeypatch):
    monkeypatch.setattr(room, "SMALL_PRODUCT", small)
    rng = np.random.default_rng(0)
    for (m, n, k), turned in product(SIZES, TURNED):
        A, B = (
            rng.normal(size=shape[::-1]).astype(dtype).T
            if turn
            else rng.normal(size=shape).astype(dtype)
            for shape, turn in zip(((m, k), (k, n)), turned, strict=True)
        )
        out = np.full((m, n + 3), np.nan, dtype)
        bound = 4 * k * np.finfo(dtype).eps * (np.abs(A) @ np.abs(B) + 1)
        for accumulate in (False, True):
            InstructionTable([matmul(A, B, out[:, :n], accumulate=accumulate)]).run()
            assert (np.abs(out[:, :n] - (1 + accumulate) * (A @ B)) <= bound).all(), (m, n, k, turned)
        assert np.isnan(out[:, n:]).all()


@pytest.mark.parametrize(("dtype", "small"), HOWS)
def test_a_product_is_subtracted_at_the_rate_that_holds_when_it_runs(dtype, small, monkeypatch):
    monkeypatch.setattr(room, "SMALL_PRODUCT", small)
    rng = np.random.default_rng(0)
    for m, n, k in (*SIZES, (7, 100, 1), (64, 64, 1), (3, 65, 1), (1, 130, 1), (500, 79, 1)):
        A, B = rng.normal(size=(k, m)).astype(dtype).T, rng.normal(size=(k, n)).astype(dtype)
        before = rng.normal(size=(m, n + 3)).astype(dtype)
        out, rate = before.copy(), np.zeros((), dtype)
        table = InstructionTable([matmul(A, B, out[:, :n], rate=rate)])
        for rate[()] in (0.5, 0.25):
            table.run()
        bound = 4 * k * np.finfo(dtype).eps * (np.abs(A) @ np.abs(B) + np.abs(before[:, :n]) + 1)
        assert (np.abs(out[:, :n] - (before[:, :n] - 0.75 * (A @ B))) <= bound).all(), (m, n, k)
        assert (out[:, n:] == before[:, n:]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_product_with_a_single_number_is_numpys_whatever_its_strides(dtype):
    # The gradient of a bias on a batch of one row: a constant 1 that was broadcast, whose strides are 0.
    one = np.broadcast_to(np.ones((), dtype), (1, 1))
    row = np.random.default_rng(0).normal(size=(1, 300)).astype(dtype)
    out = np.full((1, 300), np.nan, dtype)
    InstructionTable([matmul(one, row, out)]).run()
    assert (out == row).all()


def test_batches_of_one_row_are_the_plain_step():
    assert distance("native", Case((300,)), 9, batch_size=1) < 1e-12


def test_without_a_blas_a_large_product_is_declined(monkeypatch):
    monkeypatch.setattr(room, "find_blas", lambda: None)
    A = np.ones((50, 50))
    assert matmul(A, A, np.empty_like(A)) is None


def test_gather_copies_the_rows_of_an_index():
    source = np.arange(70.0).reshape(10, 7)
    index, out = np.array([9, 0, 3, 3]), np.zeros((4, 9))
    InstructionTable([gather_rows(source, index, out[:, :7])]).run()
    np.testing.assert_array_equal(out[:, :7], source[index])
    assert (out[:, 7:] == 0).all()


def increments(array):
    """Return a table that adds one to every item."""
    chain = Chain(
        (Operand("x", "full", "float64"),), (Statement("add", "y", ("x", 1.0)),), (Output("y"),)
    )
    return InstructionTable([call_chain(chain, (array,), (array,))])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_pool_runs_every_table_exactly_once_a_run_also_after_it_was_closed(threads):
    arrays = [np.zeros((10, 100 + 1000 * i)) for i in range(threads)]
    arrays[-1] = np.zeros((200, 5000))  # its join is longer than a worker spins
    tables, pool = [increments(array) for array in arrays], WorkerPool(threads)
    for number in range(100):
        pool.run(tables)
        if number % 30 == 0:
            time.sleep(0.002)  # the workers fall asleep, and must wake
        if number == 50:
            pool.close()
    assert [set(array.ravel()) for array in arrays] == [{100.0}] * threads
    pool.close()


def test_a_pool_may_be_used_from_several_threads():
    array, pool = np.zeros((1, 10)), WorkerPool(2)
    tables = [InstructionTable([]), increments(array)]
    callers = [threading.Thread(target=lambda: [pool.run(tables) for _ in range(50)]) for _ in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert (array == 150).all()
    pool.close()


def test_a_pool_refuses_a_wrong_number_of_tables():
    with pytest.raises(ValueError, match="one table a thread"):
        WorkerPool(2).run([InstructionTable([])])


def used_within(seconds):
    """Return the seconds that all threads of this process compute while this one sleeps."""
    before = time.process_time()
    time.sleep(seconds)
    return time.process_time() - before


def test_idle_workers_do_not_spin():
    pool = WorkerPool(2)
    pool.run([InstructionTable([]), InstructionTable([])])
    # Other threads of this process (BLAS's) may be at work for a moment; one that spins always is.
    assert any(used_within(0.1) < 0.02 for _ in range(20))
    pool.close()


def script(text, **environment):
    """Run a script in a process of its own; return what it printed."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True, timeout=600, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )  # fmt: skip
    return result.stdout.strip()


START = """
    import os, sys, signal, threading, time
    from chainrule.program.native.interpreter import InstructionTable
    from chainrule.program.native.workers import WorkerPool
    pool = WorkerPool(2)
    tables = [InstructionTable([]), InstructionTable([])]
    pool.run(tables)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_starts_workers_of_its_own():
    assert script(START + """
    child = os.fork()
    pool.run(tables)
    if child == 0:
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """) == "7"  # fmt: skip


def test_ctrl_c_leaves_the_pool_usable_and_an_interpreter_with_live_workers_exits():
    assert script(START + """
    try:
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        while True:
            pool.run(tables)
    except KeyboardInterrupt:
        pool.run(tables)
        print('usable')
    """) == "usable"  # fmt: skip


# -- the cache of machine code --------------------------------------------------------------------------


def test_a_stored_function_is_loaded_if_it_is_whole_and_only_ours_to_write(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiler, "_link", lambda code, *_: code)

    def is_compiled():
        """Whether a process that has loaded nothing yet compiles the function."""
        emitted = []
        monkeypatch.setattr(compiler, "_loaded", {})
        monkeypatch.setattr(compiler, "emit_object", lambda text: emitted.append(text) or b"the code")
        assert compiler.compile_function(lambda: "a text", "run") == b"the code"
        return bool(emitted)

    assert [is_compiled(), is_compiled()] == [True, False]
    (stored,) = (tmp_path / "native").iterdir()
    stored.write_bytes(stored.read_bytes()[:-3])
    assert is_compiled()
    assert stored.parent.stat().st_mode & 0o777 == 0o700
    stored.chmod(0o620)  # the group could
    assert [is_compiled(), is_compiled()] == [True, False]
    stored.parent.chmod(0o702)  # or anybody
    assert [is_compiled(), is_compiled()] == [True, True]
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(stored))  # a file, not a folder
    assert [is_compiled(), is_compiled()] == [True, True]


def test_processes_that_compile_the_same_kernel_at_once_all_run_it_and_the_next_loads_it(tmp_path):
    text = """
        from chainrule.program.native import compiler, interpreter
        compiler.emit_object = lambda text, emit=compiler.emit_object: (print('compiled'), emit(text))[1]
        interpreter.InstructionTable([]).run()
    """
    environment = {"CHAINRULE_CACHE_DIR": str(tmp_path)}
    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(lambda _: script(text, **environment), range(2))) <= {"compiled", ""}
    assert len(list((tmp_path / "native").iterdir())) == 1
    assert script(text, **environment) == ""


def test_one_blas_thread_gives_the_same_bits_again():
    rng = np.random.default_rng(0)
    A, B, out = rng.normal(size=(300, 200)), rng.normal(size=(200, 100)), np.empty((300, 100))
    with threadpool_limits(1, user_api="blas"):
        InstructionTable([matmul(A, B, out)]).run()
        first = out.copy()
        InstructionTable([matmul(A, B, out)]).run()
    assert out.tobytes() == first.tobytes()
