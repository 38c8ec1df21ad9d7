"""The speed map: the times measured on this machine, kept on disk, and the backend that they favour.

`chainrule bench recommend` measures and stores it; ``backend="auto"`` reads it. Nothing is measured here.
"""
