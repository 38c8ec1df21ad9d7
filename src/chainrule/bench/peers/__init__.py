"""The peers: the same step as others write it, to be measured beside ours.

The one place besides ``backends/`` and ``program/`` that names other libraries: it measures them as their own
users call them, and nothing of ours is computed with it.
"""
