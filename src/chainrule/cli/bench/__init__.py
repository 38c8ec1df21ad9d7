"""The command line of the benchmark: `chainrule bench run`, `report`, `compare`, `recommend`, ..."""
