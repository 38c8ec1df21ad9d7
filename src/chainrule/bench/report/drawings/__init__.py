"""Drawings: shapes in pixels, written as SVG, painted as PNG."""
