"""The gate: a step held to its committed counts and ratios."""
