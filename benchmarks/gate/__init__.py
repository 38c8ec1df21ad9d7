"""The gate: checks that a training step still has the counts, memory and time that a table allows.

For contributors, not for users: ``nox -s gate``, or ``python -m benchmarks.gate`` in a checkout.
"""
