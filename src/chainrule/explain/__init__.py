"""The chain rule, shown: one training step, factor by factor, and what is wrong with it.

``building`` traces the step and runs it operation by operation, ``expressions`` and ``writers`` read
the formulas off its operations, ``diagnosis`` looks at the arrays, and ``text``, ``html`` and
``latex`` show the whole. Nothing here knows a formula of its own.
"""
