"""The chain rule, shown: one training step factor by factor, and the faults of a network.

``lines`` traces the step and runs it operation by operation; ``notation`` reads the formulas off its operations;
``diagnosis`` judges the arrays; ``records`` holds the results, which ``text`` and ``html`` show. This folder contains
no formulas of the mathematics. ``gradcheck`` compares the derived gradient with ``oracles``.
"""
