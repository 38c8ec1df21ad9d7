"""Judging: the statistics of the samples, and verdicts: faster, slower, the same or undecided."""
