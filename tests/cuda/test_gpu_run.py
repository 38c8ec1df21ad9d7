"""The run on a GPU, without one: each of its parts asks for tests, contestants and cells that there are; the probe counts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import probe_cuda

from chainrule import backends
from chainrule.bench.cells import parse, preset
from chainrule.bench.roster import ROSTER

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asked(tmp_path):
    """Return what the whole run asks of Python and of compute-sanitizer, a command a line."""
    if sys.platform == "win32":
        pytest.skip("the script is of bash")
    for name in ("python", "compute-sanitizer"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name}|$CUPY_TF32|$*" >> {tmp_path}/log\n')
        (tmp_path / name).chmod(0o755)
    surroundings = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": f"{tmp_path}/python"}
    done = subprocess.run(
        [ROOT / ".ci/gpu"], env=surroundings, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split("|", 2) for line in (tmp_path / "log").read_text().splitlines()]


def test_one_command_goes_through_tests_probe_benchmark_and_sanitizer_in_order(asked):
    kinds = [re.search(r"sanitizer|probe|bench run|pytest|info", "".join(line))[0] for line in asked]
    assert kinds == [
        "info",
        *["pytest"] * 2,
        *["probe"] * 2,
        "pytest",
        *["bench run"] * 4,
        *["sanitizer"] * 3,
    ]
    source = (ROOT / "tests/gpu/test_gpu_step.py").read_text()
    chosen = [words for *_, line in asked for words in re.findall(r"-k (.*)$", line)]
    assert len(chosen) == 5
    for word in " or ".join(chosen).split(" or "):
        assert re.search(rf"def test_\w*{word}", source), word
    tf32 = [line for line in asked if line[1]]
    assert [re.search(r"probe|bench run", line[2])[0] for line in tf32] == ["probe", "bench run"]


def test_the_benchmark_on_a_gpu_asks_for_what_there_is_in_some_forty_cells(asked):
    runs = [line for *_, line in asked if "bench run" in line]
    cells = []
    for run in runs:
        names = re.search(r"--backend (\S+)", run)[1].split(",")
        assert set(names) <= set(ROSTER)
        assert {"torch-cuda-graph-many", "cupy"} <= set(names)
        grid = re.search(r"--grid (H=\S+ B=\S+)", run)
        if grid is None:
            cells.append(parse(re.search(r"--cell (\S+)", run)[1]))
        else:
            for name in ("mnist", "deep"):
                cells += preset(name, grid[1])
    assert len(cells) == 30 + 12 + 4 + 1
    assert max(cell.hidden for cell in cells) == 4096  # a larger reference takes gigabytes on the host


def test_the_probe_names_every_node_of_a_step_and_its_passes(stand_in, capsys):
    timed = []

    def run(device, calls):
        for function, arguments in calls:
            function(*arguments)
        timed.append(len(calls))
        return 2.0

    backend = backends.named("numpy")
    probe_cuda.ceilings(backend, stand_in, run, squares=(8,), copied=1 << 20)
    probe_cuda.step(backend, stand_in, "8-16-16-4,8,adam", run)
    lines = capsys.readouterr().out.splitlines()
    probe_cuda.passes(backend, stand_in, "2-4-1,4", times=1)
    probe_cuda.together(backend, stand_in, "2-4-1,4", counts=(1, 2), times=1)
    by_host = capsys.readouterr().out.splitlines()
    assert lines[0] == "a node that does nothing: 2.00 us"
    assert lines[1:4] == [f"8^3 {kind}: 0.0 TFLOP/s" for kind in ("float32", "float32 onto what is there", "float16")]  # fmt: skip
    assert lines[4] == "copy of 1 MiB: 0.524 TB/s"
    nodes = len(lines) - 6
    assert (
        lines[5]
        == f"8-16-16-4,8,adam: {nodes} nodes, together {2 * nodes:.1f} us, one by one {2 * nodes:.1f} us"
    )
    assert timed[5:] == [1] * nodes + [nodes]
    assert all(np.isfinite(float(line.split()[0])) for line in lines[6:])
    kinds = "graphs", r" 1 blocks", r" 2 blocks", r" 4 blocks"
    for line, kind in zip(by_host, kinds, strict=False):
        assert re.match(
            rf"  {kind}, passes of 200 steps: \d+\.\d us a step(; the model says \d+\.\d)?; made in",
            line,
        )
    assert [line.split(":")[0] for line in by_host[4:]] == [
        f"{n} networks 2-4-1,4 at once" for n in (1, 2)
    ]
