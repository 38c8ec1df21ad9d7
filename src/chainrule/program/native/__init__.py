"""Native code for the CPU, written by this package and compiled by LLVM (extra ``jit``: llvmlite).

Each operation of a plan becomes a function with its shapes as constants, a step a table of their calls, and
many steps run in one call without the GIL. Nothing outside this folder names llvmlite.
"""
