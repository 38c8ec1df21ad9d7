"""NVRTC: NVIDIA's compiler of CUDA C, from its wheel. It needs no device and no driver."""

import ctypes
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from support.needs import absent

AS_CUPY = (b"-ftz=true", b"--device-as-default-execution-space")  # what CuPy adds for every kernel


@cache
def library(cuda):
    """Return NVRTC of CUDA 12 or 13; skips the test where it is not installed."""
    spec = find_spec("nvidia")
    folders = [] if spec is None else spec.submodule_search_locations
    found = [path for folder in folders for path in Path(folder).rglob(f"libnvrtc.so.{cuda}*")]
    if not found:
        wheel = {12: "nvidia-cuda-nvrtc-cu12", 13: "nvidia-cuda-nvrtc>=13"}[cuda]
        absent("nvrtc", f"NVRTC of CUDA {cuda} is not installed ({wheel})")
    chosen = min(found, key=lambda path: len(path.name))
    for part in chosen.parent.glob("libnvrtc-builtins.so.*"):  # it looks for them by name alone
        ctypes.CDLL(str(part))
    return ctypes.CDLL(str(chosen))


def cubin(source, cuda, architecture):
    """Return the machine code of a source, such as for "sm_90"; an error of the compiler fails the test."""
    return _compiled(source, cuda, architecture, "CUBIN")


def ptx(source, cuda, architecture):
    """Return the assembly of a source, such as for "compute_90"."""
    return _compiled(source, cuda, architecture, "PTX").decode()


def _compiled(source, cuda, architecture, form):
    nvrtc, program, size = library(cuda), ctypes.c_void_p(), ctypes.c_size_t()
    options = [b"--std=c++17", f"--gpu-architecture={architecture}".encode(), *AS_CUPY]
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"k.cu", 0, None, None) == 0
    status = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert not log.value, log.value.decode()  # not even a warning
    assert status == 0
    assert getattr(nvrtc, f"nvrtcGet{form}Size")(program, ctypes.byref(size)) == 0
    code = ctypes.create_string_buffer(size.value)
    assert getattr(nvrtc, f"nvrtcGet{form}")(program, code) == 0
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return code.raw
