"""Native code for the CPU, written by this package and compiled by LLVM (extra ``jit``: llvmlite).

A chain becomes one vectorised kernel, a step becomes one table of calls, and a table runs without the
GIL. Nothing outside this folder names llvmlite.
"""
