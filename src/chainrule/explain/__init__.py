"""The chain rule, shown: one training step, factor by factor, and what is wrong with it.

``lines`` traces the step and runs it operation by operation; ``expressions`` and ``notation`` read
the formulas off its operations; ``diagnosis`` looks at the arrays; ``text`` and ``html`` show the
whole, from the contents that ``document`` puts together. Nothing here knows a formula of its own.
``gradcheck`` compares the derived gradient with ``oracles``.
"""
