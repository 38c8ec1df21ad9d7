"""The contestants of our own: the floors, chainrule on each backend, and the equations in plain NumPy."""
