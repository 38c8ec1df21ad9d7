"""Judging: what the samples say, with intervals: faster, slower, the same or undecided."""
