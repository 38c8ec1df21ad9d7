#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.5"]
# ///
"""Sessions for contributors: `nox` runs the default ones, `nox -l` lists all, `nox -s NAME` runs one."""

import filecmp
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "venv"  # every machine with Python has it
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
TORCH_CPU = "torch==2.13.0"
NIGHTLY = "https://pypi.anaconda.org/scientific-python-nightly-wheels/simple"
NVRTC = ("nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc>=13")

# The table of array libraries in docs/backends.md: module, packages, "trains" or "refused".
NAMESPACES = re.findall(
    r"^\| `([\w.]+)` \| `([^`]+)` \| \S+ \| (trains|refused)",
    Path("docs/backends.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


def run_tests(session: nox.Session, *arguments: str, **required: str) -> None:
    """Run pytest on all cores; fail if a library in ``REQUIRE_BACKEND`` or ``REQUIRE_EXTRA`` is missing."""
    session.run("pytest", "-n", "auto", *arguments, *session.posargs, env=required)


@nox.session
def tests(session: nox.Session) -> None:
    """The tests and doctests, on NumPy and array-api-strict."""
    session.install("-e", ".[data]", *group("test"))
    run_tests(session, REQUIRE_BACKEND="numpy")


@nox.session(default=False)
def tests_without_gil(session: nox.Session) -> None:
    """The tests on free-threaded Python; without Polars, which has no wheel for it."""
    session.install("-e", ".", *group("test"))  # nor for safetensors, which pip compiles with Rust
    run_tests(session, PYTHON_GIL="0")


@nox.session(default=False)
def tests_nightly(session: nox.Session) -> None:
    """The tests on the nightly wheels of NumPy, SciPy, scikit-learn and matplotlib."""
    session.install("-e", ".[data]", *group("test"))
    nightly = ("numpy", "scipy", "scikit-learn", "matplotlib")
    session.install("--pre", "--upgrade", "--no-deps", "--index-url", NIGHTLY, *nightly)
    run_tests(session)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: the rules and the format; mypy, strict, over src."""
    session.install("-e", ".[data]", *group("lint"), *group("types"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session(default=False)
def tests_libraries(session: nox.Session) -> None:
    """The tests that need PyTorch, JAX, native code (llvmlite) or ONNX; a missing library fails."""
    session.install("-e", ".[data,jax,jit,onnx]", TORCH_CPU, "onnxruntime", *group("test_jit"))
    required = {"REQUIRE_BACKEND": "torch,jax", "REQUIRE_EXTRA": "jit,onnx,onnxruntime"}
    run_tests(session, "--needs", "torch,jax,jit,onnx", **required)


@nox.session(default=False)
def mpi(session: nox.Session) -> None:
    """Ranks as two or three processes of MPICH, which must be there."""
    session.install("-e", ".[data,jit,mpi,sklearn]", "mpich", *group("test_tools"))
    session.run("pytest", "tests/ranks/test_mpi.py", *session.posargs, env={"REQUIRE_EXTRA": "mpi"})


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """The long form of tests that otherwise run a sample: damaged files, kills, signals, random runs."""
    session.install("-e", ".[data,jit]", *group("test"))
    training = [f"tests/training/test_{name}.py" for name in ("interrupts", "resuming", "windows")]
    tests = ["tests/saving", *training, "tests/program/test_drawn_runs.py"]
    session.run("pytest", "-n", "auto", *tests, *session.posargs, env={"SOAK": "1"})


@nox.session(default=False)
@nox.parametrize("module, packages, result", NAMESPACES, ids=[row[0] for row in NAMESPACES])
def namespaces(session: nox.Session, module: str, packages: str, result: str) -> None:
    """The array libraries in the table of docs/backends.md: each trains, or is refused in one line."""
    session.install("-e", ".", *packages.split())
    opencl = f"{session.virtualenv.location}/lib/libintelocl.so"  # dpnp installs it but does not find it
    codes = [0] if result == "trains" else [1, 2]
    session.run(
        *("chainrule", "info", "--namespace", module),
        success_codes=codes,
        env={"OCL_ICD_FILENAMES": opencl},
    )


@nox.session(default=False)
def cuda(session: nox.Session) -> None:
    """The CUDA kernels, run on the CPU thread by thread; a missing C++ compiler fails."""
    session.install("-e", ".[data]", *group("test"))
    run_tests(session, "tests/cuda", REQUIRE_EXTRA="c++")


@nox.session(default=False)
def cuda_without_device(session: nox.Session) -> None:
    """NVIDIA's compilers of CUDA 12 and 13 take every kernel; CuPy without a driver says what is missing."""
    session.install("-e", ".[data,cuda12]", *NVRTC, *group("test_tools"))
    tests = ("tests/cuda/test_nvrtc.py", "tests/cuda/test_cupy_without_driver.py")
    run_tests(session, *tests, REQUIRE_EXTRA="cupy,nvrtc")


@nox.session(default=False)
def build(session: nox.Session) -> None:
    """Build the sdist and the wheel twice, once from the sdist and once from the clone, and compare the bytes."""
    session.install("build")
    first, second = Path("dist"), Path(session.create_tmp(), "again")
    for folder, what in ((first, ()), (second, ("--sdist", "--wheel"))):
        shutil.rmtree(folder, ignore_errors=True)
        session.run("python", "-m", "build", "--outdir", str(folder), *what)
    names = [path.name for path in first.iterdir()]
    _, *different = filecmp.cmpfiles(first, second, names, shallow=False)
    if any(different):
        session.error(f"built twice, not the same: {different}")


def run_notebook(session: nox.Session) -> None:
    required = {"REQUIRE_EXTRA": "notebook,plots"}
    session.run("pytest", "tests/docs/test_backpropagation.py", "docs/extensions", env=required)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the site of the documentation in build/site, with warnings as errors, and run the notebook."""
    session.install("-e", ".[data,plots]", *group("docs"))
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "docs", "build/site", *session.posargs)
    run_notebook(session)


@nox.session(default=False)
def pages(session: nox.Session) -> None:
    """The same, and open every page in headless Chromium: 400 and 1400 pixels, light and dark."""
    session.install("-e", ".[data,plots]", *group("pages"))
    run_notebook(session)
    required = {"REQUIRE_EXTRA": "browser"}
    session.run("pytest", "-m", "browser", "tests", *session.posargs, env=required)  # builds the site


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """The tests that need a CUDA device, with CuPy; a missing device fails."""
    session.install("-e", ".[data,cuda12]", *group("test"))
    session.run("pytest", "-m", "gpu", *session.posargs, env={"REQUIRE_BACKEND": "cupy"})


@nox.session(default=False)
def sanitizer(session: nox.Session) -> None:
    """The kernels and the captured step under compute-sanitizer of the CUDA toolkit."""
    session.install("-e", ".[data,cuda12]", *group("test"))
    for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
        session.run(".ci/gpu", tool, *session.posargs, external=True, env={"PYTHON": "python"})


@nox.session(default=False)
def figures(session: nox.Session) -> None:
    """Draw the figures of docs/pictures.md."""
    session.install("-e", ".[plots]")
    session.run("python", "docs/draw_figures.py")


@nox.session(default=False)
def gate(session: nox.Session) -> None:
    """Check what a step does, allocates and takes against benchmarks/gates.toml; `-- --update` writes it."""
    session.install("-e", ".[data,jit]")
    session.run("python", "-m", "benchmarks.gate", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The benchmarks, timed: `nox -s bench -- --quick`."""
    session.install("-e", ".[data,jit]", *group("test"), "pytest-benchmark[histogram]")
    session.run("pytest", "benchmarks", "--benchmark-only", *session.posargs)


@nox.session(default=False)
def bench_peers(session: nox.Session) -> None:
    """The same with PyTorch and JAX."""
    session.install("-e", ".[data,jit,peers]", TORCH_CPU, *group("test"), "pytest-benchmark[histogram]")
    session.run("pytest", "benchmarks", "--benchmark-only", *session.posargs)


if __name__ == "__main__":
    nox.main()
