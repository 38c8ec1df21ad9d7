# /// script
# dependencies = ["nox>=2025.5"]
# ///
"""What can be run here: `nox` runs the default set, `nox -l` lists all, `nox -s NAME` runs one."""

import nox

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "venv"  # plain pip: a machine with only Python has it
nox.options.reuse_venv = "yes"

PROJECT = nox.project.load_toml("pyproject.toml")
TORCH_CPU = "torch==2.13.0"


def group(name: str) -> list[str]:
    return list(nox.project.dependency_groups(PROJECT, name))


# Held once, by the session `tests`: they know no backend but NumPy.
ONCE = [
    *("plots", "cuda", "docs", "house", "cli/test_cli_help.py"),
    "estimators/test_estimator_checks.py",
    *(
        f"bench/test_{room}.py"
        for room in ("campaign", "comparison", "crossover", "recommendation", "report")
    ),
    *(
        f"bench/test_{room}.py"
        for room in ("report_command", "report_figures", "statistics", "suite", "gate")
    ),
]
AGAIN = [f"--ignore=tests/{place}" for place in ONCE]


def run_tests(session: nox.Session, backend: str, *more: str) -> None:
    # REQUIRE_BACKEND turns the skips of that backend into failures.
    session.run("pytest", *more, *session.posargs, env={"REQUIRE_BACKEND": backend})


@nox.session
def tests(session: nox.Session) -> None:
    """The tests and doctests, on NumPy and array-api-strict."""
    session.install("-e", ".[data]", *group("test"))
    run_tests(session, "numpy")


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff: the rules and the format."""
    session.install(*group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, over src."""
    session.install("-e", ".[data]", *group("types"))
    session.run("mypy")


@nox.session(default=False)
def tests_torch(session: nox.Session) -> None:
    """The same tests with PyTorch, which must be there."""
    session.install("-e", ".[data]", TORCH_CPU, *group("test"))
    run_tests(session, "torch", *AGAIN)


@nox.session(default=False)
def tests_jax(session: nox.Session) -> None:
    """The same tests with JAX, which must be there."""
    session.install("-e", ".[data,jax]", *group("test"))
    run_tests(session, "jax", *AGAIN)


@nox.session(default=False)
def tests_jit(session: nox.Session) -> None:
    """The same tests with llvmlite, which must be there: native code on the CPU."""
    session.install("-e", ".[data,jit]", *group("test_jit"))
    needed = {"REQUIRE_BACKEND": "numpy", "REQUIRE_EXTRA": "jit"}
    session.run("pytest", *AGAIN, *session.posargs, env=needed)


@nox.session(default=False)
def cuda(session: nox.Session) -> None:
    """The CUDA kernels, run on the CPU thread by thread; a missing C++ compiler fails."""
    session.install("-e", ".[data]", *group("test"))
    session.run("pytest", "tests/cuda", *session.posargs, env={"REQUIRE_EXTRA": "c++"})


@nox.session(default=False)
@nox.parametrize("wheel", ["nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc>=13"], ids=["cuda12", "cuda13"])
def nvrtc(session: nox.Session, wheel: str) -> None:
    """NVIDIA's compiler takes every generated kernel, for two generations of devices; no GPU is needed."""
    session.install("-e", ".[data]", wheel, *group("test"))
    session.run("pytest", "tests/cuda/test_nvrtc.py", *session.posargs, env={"REQUIRE_EXTRA": "nvrtc"})


@nox.session(default=False)
def cupy_without_driver(session: nox.Session) -> None:
    """CuPy installed and no driver: imports work, and it is said why CUDA does not."""
    session.install("-e", ".[data,cuda12]", *group("test"))
    test = "tests/cuda/test_cupy_without_driver.py"
    session.run("pytest", test, *session.posargs, env={"REQUIRE_EXTRA": "cupy"})


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The documentation site, into build/site, warnings being errors; the notebook, run on its own."""
    session.install("-e", ".[data,plots]", *group("docs"))
    session.run("sphinx-build", "-W", "--keep-going", "-n", "-q", "docs", "build/site", *session.posargs)
    needed = {"REQUIRE_EXTRA": "notebook,plots"}
    session.run("pytest", "tests/docs/test_backpropagation.py", "docs/extensions", env=needed)


@nox.session(default=False)
def pages(session: nox.Session) -> None:
    """Every page in headless Chromium, which must be there: 400 and 1400 pixels wide, light and dark."""
    session.install("-e", ".[data,plots]", *group("pages"))
    session.run("pytest", "-m", "browser", "tests", *session.posargs, env={"REQUIRE_EXTRA": "browser"})


@nox.session(default=False)
def gpu(session: nox.Session) -> None:
    """The tests that need a CUDA device, with CuPy; a missing device fails."""
    session.install("-e", ".[data,cuda12]", *group("test"))
    run_tests(session, "cupy", "-m", "gpu")


@nox.session(default=False)
def sanitizer(session: nox.Session) -> None:
    """The kernels and the captured step under NVIDIA's compute-sanitizer, which the CUDA toolkit brings."""
    session.install("-e", ".[data,cuda12]", *group("test"))
    for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
        session.run(".ci/gpu", tool, *session.posargs, external=True, env={"PYTHON": "python"})


@nox.session(default=False)
def figures(session: nox.Session) -> None:
    """Draw the figures of docs/pictures.md anew."""
    session.install("-e", ".[plots]")
    session.run("python", "docs/draw_figures.py")


@nox.session(default=False)
def gate(session: nox.Session) -> None:
    """Check what a step does, allocates and takes against benchmarks/gates.toml; `-- --update` writes it."""
    session.install("-e", ".[data,jit]")
    session.run("python", "-m", "chainrule.bench.judge.gate", *session.posargs)


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
