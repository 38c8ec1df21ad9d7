"""CUDA: the planned step as generated kernels and products, launched as one graph.

From the ground up: ``expressions``, ``loop``, ``strips``, ``rows``, ``sums``, ``source`` write a kernel; ``grouping`` says which operations
are one, ``direct`` which products go straight into the weights; ``geometry`` how a kernel is launched; ``products`` and
``cublas`` multiply matrices; ``device`` is what is asked of a device; ``batch``, ``graphs``, ``engine`` and ``stream`` run.
"""
