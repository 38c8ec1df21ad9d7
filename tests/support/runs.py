"""Runs of the benchmark on a simulated machine, to compute results from."""

import numpy as np

from chainrule.bench.store import Measurement, Rates, Records

ENVIRONMENT = {
    "cpu": "A Processor",
    "cores": 2,
    "system": "Linux x86_64",
    "python": "3.11.7",
    "gil": True,
    "blas": [{"internal_api": "openblas", "version": "0.3.30", "num_threads": 2}],
    "versions": {"numpy": "2.4.6", "chainrule": "0.1.0"},
    "variables": {},
    "gpu": None,
    "precision": {},
}


def a_run(seconds, *, run="monday", shape=(3, 15), noise=0.01, drift=None, **facts):
    """A run in which ``seconds[cell][contestant]`` is what a step takes, ``drift`` what all suffer.

    ``facts`` replace those of the environment.
    """
    rng = np.random.default_rng(sum(map(ord, run)))
    records = Records(environments={"one": {**ENVIRONMENT, **facts}})
    drift = np.zeros(shape) if drift is None else drift  # (processes, rounds)
    for cell, contestants in seconds.items():
        for name, step in contestants.items():
            taken = step * np.exp(rng.normal(0.0, noise, shape) + drift)  # (processes, rounds)
            records.measurements += [
                measurement(cell, name, process, taken[process], run=run) for process in range(shape[0])
            ]
    return records


def measurement(cell, contestant, process, taken, *, run="monday", operation="step", **more):
    """What a process says: a block of ten steps in each round."""
    facts = {"steps": 10, "first_call": 0.1, "environment": "one", **more}
    return Measurement(
        run,
        process,
        cell,
        operation,
        contestant,
        rounds=tuple(range(len(taken))),
        seconds=tuple(float(10 * one) for one in taken),
        **facts,
    )


def rates(library, products=1e11, copies=((1, 1e12),)):
    """The best that a library does here."""
    return Rates(library, "float32", 0, products, copies)
