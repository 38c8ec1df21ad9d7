"""The machine: processors and memory within the limits of containers, and what a forked child is left with."""

import multiprocessing
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from chainrule import NeuralNetwork
from chainrule.program import machine
from support.engines import blas_threads

GB = 1 << 30
LEFT = "from chainrule.program.machine import available_bytes; print(available_bytes())"


def tree(root, files):
    """Write files of ``/proc`` and ``/sys`` under ``root``."""
    meminfo = f"MemFree: 1 kB\nMemAvailable: {8 * GB // 1024} kB\n"
    for name, text in {"proc/meminfo": meminfo, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


OLD, NEW = "sys/fs/cgroup/memory", "sys/fs/cgroup"
V1 = {f"{OLD}/memory.limit_in_bytes": 2**63 - 4096, f"{OLD}/memory.usage_in_bytes": GB}


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({}, 8 * GB),
        ({"proc/self/cgroup": "4:memory:/\n0::/", **V1}, 8 * GB),  # no limit
        (
            {
                "proc/self/cgroup": "4:cpu,memory:/job\n1:name=systemd:/",
                **V1,
                f"{OLD}/job/memory.limit_in_bytes": 3 * GB,
                f"{OLD}/job/memory.usage_in_bytes": 2 * GB,
                f"{OLD}/job/memory.stat": f"cache 9\ntotal_inactive_file {GB // 2}\ntotal_active_file {GB // 4}",
            },
            GB + GB // 2 + GB // 4,
        ),
        (
            {
                "proc/self/cgroup": "0::/slice/unit",
                f"{NEW}/slice/unit/memory.max": "max",
                f"{NEW}/slice/unit/memory.current": GB,
                f"{NEW}/slice/memory.max": 2 * GB,  # of a group around ours
                f"{NEW}/slice/memory.current": GB,
                f"{NEW}/slice/memory.stat": "anon 5\nactive_file 100\ninactive_file 20",
            },
            GB + 120,
        ),
        # In a container the path may be the host's, which does not exist there.
        ({"proc/self/cgroup": "0::/docker/1a", f"{NEW}/memory.max": GB, f"{NEW}/memory.current": 2 * GB}, 0),
    ],
)  # fmt: skip
def test_memory_is_what_the_kernel_and_every_group_around_the_process_leave(tmp_path, files, left):
    assert machine.available_bytes(tmp_path) is None  # where the system says nothing
    assert machine.available_bytes(tree(tmp_path, files)) == left


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says what a process takes")
@pytest.mark.parametrize("limit", ["-v", "-d"])
def test_memory_is_what_ulimit_leaves(limit):
    command = f"ulimit {limit} 3000000; exec '{sys.executable}' -c '{LEFT}'"
    left = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert 0 < int(left) < 3_000_000 * 1024


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 64),
        ({"proc/self/cgroup": "0::/a", f"{NEW}/a/cpu.max": "max 100000", f"{NEW}/cpu.max": "350000 100000"}, 3),
        ({"proc/self/cgroup": "0::/", f"{NEW}/cpu.max": "50000 100000"}, 1),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/b",
                f"{NEW}/cpu/b/cpu.cfs_quota_us": 200000,
                f"{NEW}/cpu/b/cpu.cfs_period_us": 100000,
                f"{NEW}/cpu/cpu.cfs_quota_us": -1,
                f"{NEW}/cpu/cpu.cfs_period_us": 100000,
            },
            2,
        ),
    ],
)  # fmt: skip
def test_cores_are_no_more_than_a_quota_grants(monkeypatch, tmp_path, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert machine.cores(tree(tmp_path, files)) == cores


def test_cores_are_those_that_the_process_may_run_on(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert machine.cores(tmp_path) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.cores(tmp_path) == 1


def test_as_many_threads_as_asked_else_as_the_variable_says_else_one_a_core(monkeypatch):
    for variable, threads in (("", machine.cores()), ("7", 7)):
        monkeypatch.setenv("CHAINRULE_THREADS", variable)
        assert machine.threads() == threads >= 1
        assert machine.threads(3) == 3
    for wrong in (0, -1, 1.5, "two", "²"):
        with pytest.raises(ValueError, match=r"^threads is .*; give a whole number of 1 or more"):
            machine.threads(wrong)
        monkeypatch.setenv("CHAINRULE_THREADS", str(wrong))
        said = r"^CHAINRULE_THREADS is .*; give a whole number of 1 or more"
        with pytest.raises(ValueError, match=said):
            machine.threads()


# -- forks ----------------------------------------------------------------------------------------------

# JAX warns of every fork, also of those that never call it again.
pytestmark = pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(function):
    """Return what a function returns in a forked child; fail where it does not return."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: sender.send(function()))
    child.start()
    try:
        assert receiver.poll(30), "the child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


@forks
@pytest.mark.needs("jit")
def test_a_child_forked_while_a_function_is_compiled_compiles_its_own(monkeypatch, tmp_path):
    from chainrule.program.native import compiler

    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path))
    begun = threading.Event()

    def slowly(_writer):
        begun.set()
        threading.Event().wait(0.2)

    with ThreadPoolExecutor(1) as pool:
        compiled = pool.submit(compiler.compile_functions, [("slow", slowly)])
        begun.wait()
        address = in_child(lambda: compiler.compile_functions([("child", lambda _writer: None)]))
        assert address
        assert compiled.result()


@forks
def test_a_child_has_the_threads_and_the_networks_that_its_parents_threads_held():
    net, before = NeuralNetwork(2, 3, 1, backend="numpy", seed=0), blas_threads()
    held, end = threading.Event(), threading.Event()
    count = 2 if before == [1] else 1

    def callback(_):
        held.set()
        end.wait()

    def train():
        with machine.blas_threads(count):
            net.train(np.eye(2), [[0.0], [1.0]], 1, callbacks=[callback], progress=False)

    def child():
        net.train(np.eye(2), [[0.0], [1.0]], 1, progress=False)  # in the parent it is refused
        return blas_threads()

    thread = threading.Thread(target=train)
    thread.start()
    try:
        held.wait()
        assert set(blas_threads()) == {count}
        assert in_child(child) == before
    finally:
        end.set()
        thread.join()
