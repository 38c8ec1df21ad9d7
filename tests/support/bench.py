"""Whole runs of the benchmark from a formula: a call's cost, and a rate of products."""

from chainrule.bench.cells import parse, preset
from chainrule.bench.judge.results import Results
from support.runs import a_run, measurement, rates

# Seconds of a step's calls, and FLOP/s. numpy-jit leads while a step is small, torch when it is large.
FORMULAS = {
    "products-numpy": (2e-6, 1.0e11),
    "products-torch": (5e-6, 1.5e11),
    "numpy": (2e-5, 0.8e11),
    "numpy-jit": (3e-6, 0.9e11),
    "torch": (5e-5, 1.4e11),
    "notebook": (4e-5, 0.4e11),
    "torch-eager": (2e-4, 1.2e11),
}
RATES = [rates("numpy", products=1.2e11), rates("torch", products=1.6e11)]
GRID = "H=16,256,4096 B=1,64,4096"


def records(cells=None, names=tuple(FORMULAS), **options):
    """The records of a run of these contestants in these cells, the preset digits on a grid by itself."""
    cells = preset("digits", GRID) if cells is None else list(map(parse, cells))
    seconds = {
        cell: {
            name: call + cell.flops / rate for name, (call, rate) in FORMULAS.items() if name in names
        }
        for cell in cells
    }
    made = a_run(seconds, **{"run": "2026-11-22T08:00:00"} | options)
    made.rates = list(RATES)
    return made


def results(*args, **options):
    """What follows from them."""
    return Results(records(*args, **options))


def without(made, *contestants, status="skipped", reason="it is not installed", cell=None):
    """Take contestants' figures out of some records, in one cell or in all, for a reason."""
    for place, one in enumerate(made.measurements):
        if one.contestant in contestants and cell in (None, one.cell.name):
            made.measurements[place] = measurement(
                one.cell, one.contestant, one.process, [], run=one.run, status=status, reason=reason
            )
    return made
