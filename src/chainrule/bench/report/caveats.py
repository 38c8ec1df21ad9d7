"""The method in a few lines, and what the figures do not say."""

from statistics import median

from chainrule.bench.report.findings import Findings
from chainrule.bench.report.words import percent


def method(found: Findings) -> list[str]:
    """Return how it was measured, a sentence each."""
    ok = [one for one in found.results.records.measurements if one.status == "ok" and one.seconds]
    rounds = median(len(one.seconds) for one in ok) if ok else 0
    processes = len({one.process for one in ok})
    return [
        (
            "Every contestant ran in a process of its own; the processes took turns, block by block, in an "
            f"order drawn anew each round: {rounds:.0f} rounds (median) in {processes} "
            f"set{'' if processes == 1 else 's'} of processes."
        ),
        "Before it was timed, each took some steps whose losses were compared with a reference in float64.",
        (
            "Times are medians. Ratios are medians over rounds of neighbouring blocks, with an interval of 95 %: "
            "a machine that is slow for a while does not move them. A ratio within "
            f"{percent(found.band)} of 1 counts as the same; an interval that spans more than that and 1 is undecided."
        ),
        (
            "The limit is the least time that this machine needs for a step: the larger of its FLOP over the best "
            "rate of square products and its least bytes over the best rate of a copy of as many bytes, both the "
            "best of all libraries, measured in the same run."
        ),
        (
            "Dispatch is an estimate: the calls of a step times the cost of an empty call. What is neither "
            "products nor dispatch is elementwise work and memory."
        ),
        (
            "FLOP count the matrix products only: 2 B (3 sum n_in n_out - n_0 n_1) a training step, since the first "
            "layer needs no gradient of its input."
        ),
    ]


def caveats(found: Findings) -> list[str]:
    """Return what to keep in mind when reading these figures."""
    told = []
    ok = [one for one in found.results.records.measurements if one.status == "ok" and one.seconds]
    if not ok:
        return ["Nothing was measured."]
    if len({one.process for one in ok}) < 3:
        told.append(
            "Preliminary: fewer than three sets of processes. The same code can differ by some percent from "
            "process to process."
        )
    spread = median((max(one.seconds) - min(one.seconds)) / median(one.seconds) for one in ok)
    told.append(
        f"The blocks of a contestant differ by {percent(spread)} (median of their ranges): do not read less."
    )
    told.append(
        "These are figures of one machine and these versions; another BLAS or device moves them."
    )
    return told
