"""NVIDIA's own compilers take every generated kernel, for the devices of three generations; no GPU is needed."""

from functools import partial

import numpy as np
import pytest

from chainrule.program.chains import DTYPES, Chain, Operand, Output, Statement
from chainrule.program.cuda.gather import gather
from chainrule.program.cuda.source import PRELUDE
from chainrule.program.fusion import Extent
from support.cuda.checks import BIAS_TANH
from support.cuda.nvrtc import cubin, library, ptx
from support.cuda.texts import (
    cluster_kernels,
    every_function,
    kernel_of,
    kernels_of,
    kernels_of_every_step,
    persistent_kernels,
)
from support.steps import Case, made_plan

GENERATIONS = [(12, "sm_80"), (12, "sm_90"), (13, "sm_90"), (13, "sm_100")]


@pytest.fixture(params=GENERATIONS, ids="cuda{0[0]}-{0[1]}".format)
def compiled(request):
    """Return what compiles texts for an architecture; skips the test without the compiler."""
    cuda, architecture = request.param
    library(cuda)
    return partial(_compiled, cuda, architecture)


def _compiled(cuda, architecture, texts):
    code = cubin(PRELUDE + "".join(text.source for text in texts), cuda, architecture)
    assert code[:4] == b"\x7fELF"
    for text in texts:
        assert text.name.encode() in code  # the name under which it is looked up


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_of_every_step_compiles(compiled, dtype):
    texts = kernels_of_every_step([dtype]).values()
    assert len(texts) > 40
    compiled(texts)


def test_every_function_compiles_in_every_dtype(compiled):
    texts = [kernel_of(every_function(dtype))[1] for dtype in DTYPES if dtype != "bool"]
    numbers = [np.nan, np.inf, -np.inf, -0.0, 1e-40, -3.5]
    statements = tuple(Statement("add", f"r{n}", ("x0", number)) for n, number in enumerate(numbers))
    literals = Chain(
        (Operand("x0", "full", "float32"),), statements, tuple(Output(s.result) for s in statements)
    )
    texts += [kernel_of(literals)[1], gather(["float32"]), gather(["bfloat16", "float32", "float64"])]
    compiled(texts)


def test_loads_are_on_their_way_before_the_first_is_used():
    library(13)
    delta = kernel_of(BIAS_TANH, Extent(4096, 128))[1]
    for text, end in ((gather(["float32"]), "st.global"), (delta, "add.ftz.f32")):
        code = ptx(PRELUDE + text.source, 13, "compute_90")
        assert "ld.global.v4" in code
        runs = [part.count("ld.global.v4") for part in code.split(end)]
        assert max(runs) >= 8, text.name


@pytest.mark.parametrize(("cuda", "architecture"), GENERATIONS)
def test_products_of_many_terms_keep_their_sums_in_registers(cuda, architecture):
    library(cuda)
    half = Case((16, 600), additions={"compute": "bfloat16"})
    steps = (Case((16, 600)), 4096, "float32"), (Case((16, 600)), 9, "float64"), (half, 300, "float32")
    texts = {name: text for step in steps for name, text in kernels_of(made_plan(*step)).items()}
    long = [text for text in texts.values() if "long_dot" in text.source]
    assert len(long) == 3 * 2 * 2  # the last product and one in the backward pass, aligned or not
    _compiled(cuda, architecture, long)
    code = ptx(
        PRELUDE + "".join(text.source for text in long), cuda, architecture.replace("sm", "compute")
    )
    assert ".local" not in code


@pytest.mark.parametrize("share", range(len(GENERATIONS)))
def test_persistent_kernels_of_every_step_compile(share):
    cuda, architecture = GENERATIONS[share]
    library(cuda)
    texts = persistent_kernels("float32")[share :: len(GENERATIONS)]
    texts += cluster_kernels() if architecture != "sm_80" else []
    _compiled(cuda, architecture, texts)
    for text, generation in ((texts[0], "compute_80"), (texts[-1], "compute_90")):
        code = ptx(PRELUDE + text.source, cuda, generation)
        assert ".local" not in code  # the sums of a product stay in registers
        assert ("mapa" in code) == (
            text.blocks > 1
        )  # a cluster's blocks read each other's shared memory
