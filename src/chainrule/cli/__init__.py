"""The command line: `chainrule demo`, `train`, `predict`, `info`."""
