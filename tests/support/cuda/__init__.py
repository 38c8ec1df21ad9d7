"""A CUDA device for tests, on the CPU: the very kernels, compiled by the C++ compiler of this machine."""
