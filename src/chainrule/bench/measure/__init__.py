"""Measuring: contestants take turns, each in its own process."""
