"""Runs of the benchmark computed from a formula: the cost of the calls and a rate of products."""

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
    """Return the records of a run of some contestants in some cells, by default the preset digits on a grid."""
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
    """Return the results of such a run."""
    return Results(records(*args, **options))


def without(made, *contestants, status="skipped", reason="it is not installed", cell=None):
    """Remove the figures of contestants from records, in one cell or in all, with a reason."""
    for place, one in enumerate(made.measurements):
        if one.contestant in contestants and cell in (None, one.cell.name):
            made.measurements[place] = measurement(
                one.cell, one.contestant, one.process, [], run=one.run, status=status, reason=reason
            )
    return made
