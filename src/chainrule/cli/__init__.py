"""The command line: `chainrule demo`, `train`, `predict`, `explain`, `info`."""
