"""The table of steps: processes run in rounds, their figures put together, and printed."""
