"""The mathematics: the forward pass, the chain rule and the update, as pure functions of arrays.

It names no array library: each function takes its library from the arrays it is given. Read
:mod:`~chainrule.mathematics.layers` first, then :mod:`~chainrule.mathematics.step`.
"""
