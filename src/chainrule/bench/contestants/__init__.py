"""The contestants of our own: chainrule on each backend, the bare products, and the equations in plain NumPy."""
