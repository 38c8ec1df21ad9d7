"""The CUDA spelling of a chain: each statement once, no reduction; and, where NVRTC is there, that it compiles."""

import ctypes
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from chainrule.program.chains import DTYPES, ROW_FUNCTIONS, Chain, Operand, Output, Statement
from chainrule.program.cuda_printer import print_cuda
from chainrule.program.fusion import fuse
from chainrule.program.lowering import lower
from support.steps import CASES, made_plan

S = Statement
X = Operand("x", "full", "float32")


def test_cuda_spells_each_statement_once():
    statements = (
        S("multiply", "h", ("x", -0.5)),
        S("tanh", "t", ("h",)),
        S("maximum", "r", ("t", 0.0)),
    )
    source = print_cuda(Chain((X,), statements, (Output("r"),)))
    assert source.in_params == "float32 x"
    assert source.out_params == "float32 out_r"
    assert source.operation.splitlines() == [
        "const float h = x * (-0.5f);",
        "const float t = tanhf(h);",
        "const float r = (t > 0.0f || t != t) ? t : 0.0f;",
        "out_r = r;",
    ]


@pytest.mark.parametrize(
    ("statements", "output"),
    [((S("row_sum", "s", ("x",)),), Output("s")), ((S("exp", "e", ("x",)),), Output("e", total=True))],
    ids=["row", "total"],
)
def test_cuda_refuses_reductions(statements, output):
    with pytest.raises(ValueError, match="an elementwise kernel reduces nothing"):
        print_cuda(Chain((X,), statements, (output,)))


def step_chains():
    """Return every elementwise chain of every kind of step, once."""
    chains = {}
    for dtype in ("float32", "float64"):
        for case in CASES.values():
            for group in fuse(made_plan(case, 9, dtype).program):
                if not group.is_product and not group.is_concat:
                    chain = lower(group).chain
                    reduces = any(o.total for o in chain.outputs)
                    reduces |= any(s.function in ROW_FUNCTIONS for s in chain.statements)
                    if not reduces:
                        chains[chain] = None
    return list(chains)


def test_the_elementwise_chains_of_every_step_are_spelled():
    chains = step_chains()
    assert len(chains) > 30
    for chain in chains:
        source = print_cuda(chain)
        assert len(source.operation.splitlines()) == len(chain.statements) + len(chain.outputs)
        assert "double" not in source.operation or "float64" in chain.dtypes.values()


def nvrtc():
    """Return the compiler of CUDA C, from NVIDIA's wheel; no device is needed."""
    spec = find_spec("nvidia")
    folders = [] if spec is None else spec.submodule_search_locations
    found = [path for folder in folders for path in Path(folder).glob("*/lib/libnvrtc.so.*")]
    if not found:
        pytest.skip("NVRTC is not installed (the wheel nvidia-cuda-nvrtc)")
    return ctypes.CDLL(str(min(found, key=lambda path: len(path.name))))


TYPES = {"bool": "bool", "int32": "int", "uint32": "unsigned int", "int64": "long long", "float32": "float", "float64": "double"}  # fmt: skip


def kernel(chain, name):
    """Return a kernel around the statements of a chain, as CuPy writes one."""
    source = print_cuda(chain)
    inputs = [part.split() for part in source.in_params.split(", ")]
    outputs = [part.split() for part in source.out_params.split(", ")]
    parameters = [f"const {TYPES[dtype]} *_{name}" for dtype, name in inputs]
    parameters += [f"{TYPES[dtype]} *_{name}" for dtype, name in outputs]
    body = [f"const {TYPES[dtype]} {name} = _{name}[i];" for dtype, name in inputs]
    body += [f"{TYPES[dtype]} &{name} = _{name}[i];" for dtype, name in outputs]
    lines = "\n  ".join([*body, *source.operation.splitlines()])
    return (
        f'extern "C" __global__ void {name}({", ".join(parameters)}) {{\n'
        f"  const int i = blockIdx.x * blockDim.x + threadIdx.x;\n  {lines}\n}}\n"
    )


def every_function(dtype):
    """Return a chain with every elementwise statement that the dtype allows."""
    x, y = (Operand(name, "full", dtype) for name in "xy")
    one = ["negative", "abs", "square", "sign"]
    two = ["add", "subtract", "multiply", "maximum", "minimum"]
    compared = ["greater", "greater_equal", "less", "less_equal", "equal", "not_equal"]
    if dtype.startswith("float"):
        one += ["exp", "expm1", "log", "log1p", "tanh", "sqrt"]
        two += ["divide"]
    else:
        two += [f"bitwise_{name}" for name in ("and", "or", "xor", "left_shift", "right_shift")]
    statements = [S(function, f"r_{function}", ("x",)) for function in one]
    statements += [S(function, f"r_{function}", ("x", "y")) for function in two]
    statements += [S(function, f"r_{function}", ("x", 3)) for function in compared]
    statements += [S("where", "r_where", ("r_less", "x", 7))]
    statements += [S("astype", f"r_{to}", ("x",), to) for to in DTYPES]
    return Chain((x, y), tuple(statements), tuple(Output(s.result) for s in statements))


def test_cuda_compiles():
    library = nvrtc()
    chains = step_chains() + [every_function(dtype) for dtype in TYPES if dtype != "bool"]
    numbers = [np.nan, np.inf, -np.inf, -0.0, 1e-40, -3.5]
    statements = tuple(S("add", f"r{n}", ("x", number)) for n, number in enumerate(numbers))
    chains.append(Chain((X,), statements, tuple(Output(s.result) for s in statements)))
    text = "".join(kernel(chain, f"chain{number}") for number, chain in enumerate(chains))
    text = "#define INFINITY __int_as_float(0x7f800000)\n#define NAN __int_as_float(0x7fffffff)\n" + text
    program = ctypes.c_void_p()
    assert library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), None, 0, None, None) == 0
    status = library.nvrtcCompileProgram(program, 0, None)
    size = ctypes.c_size_t()
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    assert status == 0, log.value.decode()
