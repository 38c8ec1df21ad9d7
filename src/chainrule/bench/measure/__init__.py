"""Measuring: contestants run by turns, each in a process of its own."""
