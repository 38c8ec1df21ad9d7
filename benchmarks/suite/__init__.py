"""What the benchmarks share: which cases there are, and how one is timed."""
