"""For contributors: the gate of `nox -s gate`, and benchmarks for pytest-benchmark."""
