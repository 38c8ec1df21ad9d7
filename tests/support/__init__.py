"""Helpers of the tests: backends, data, and results to compare with."""
