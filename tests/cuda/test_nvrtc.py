"""NVIDIA's own compilers take every generated kernel, for the devices of two generations; no GPU is needed."""

from functools import partial

import numpy as np
import pytest

from chainrule.program.chains import DTYPES, Chain, Operand, Output, Statement
from chainrule.program.cuda.gather import gather
from chainrule.program.cuda.source import prelude
from support.cuda.nvrtc import cubin, library
from support.cuda.texts import every_function, kernel_of, kernels_of_every_step

each_generation = pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])


@pytest.fixture(params=[12, 13], ids="cuda{}".format)
def compiled(request):
    """Return what compiles texts for an architecture; skips the test without the compiler."""
    library(request.param)
    return partial(_compiled, request.param)


def _compiled(cuda, texts, architecture):
    code = cubin(prelude() + "".join(text.source for text in texts), cuda, architecture)
    assert code[:4] == b"\x7fELF"
    for text in texts:
        assert text.name.encode() in code  # the name under which it is looked up


@each_generation
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_kernel_of_every_step_compiles(compiled, dtype, architecture):
    texts = kernels_of_every_step([dtype]).values()
    assert len(texts) > 40
    compiled(texts, architecture)


@each_generation
def test_every_function_compiles_in_every_dtype(compiled, architecture):
    texts = [kernel_of(every_function(dtype))[1] for dtype in DTYPES if dtype != "bool"]
    numbers = [np.nan, np.inf, -np.inf, -0.0, 1e-40, -3.5]
    statements = tuple(Statement("add", f"r{n}", ("x0", number)) for n, number in enumerate(numbers))
    literals = Chain(
        (Operand("x0", "full", "float32"),), statements, tuple(Output(s.result) for s in statements)
    )
    texts += [kernel_of(literals)[1], gather(["float32"]), gather(["bfloat16", "float32", "float64"])]
    compiled(texts, architecture)
