"""CUDA: the planned step as generated kernels and products, launched as one graph.

From the ground up: ``expressions``, ``loop``, ``strips``, ``rows``, ``sums`` and ``source`` print a kernel; ``grouping`` decides which
operations share one, ``planning`` which products go straight into the weights, ``geometry`` how a kernel is launched; ``cublas``
and ``cublas_lt`` multiply matrices; ``device`` lists what a device must do; ``batch``, ``engine`` and ``stream`` run steps as
graphs, ``persistent`` and ``persistent_engine`` as one kernel.
"""
