"""The diagnosis: all checks in order, the root causes first."""

from chainrule.explain import data_faults, rates, units
from chainrule.explain.evidence import Evidence
from chainrule.explain.records import Flag


def diagnosed(evidence: Evidence) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    """Return the flags of a step without NaN or infinity, and the questions that its rows cannot answer."""
    X, Y = evidence.arrays["X"], evidence.arrays["Y"]
    alike = list(units.symmetric(evidence))
    unreachable = list(data_faults.out_of_reach(Y, evidence.curves[-1]))
    # Targets out of reach drive the output to where it is flat or dead.
    driven = {f"layer {evidence.depth}"} if unreachable else set()
    results = [
        *data_faults.features(X),
        *data_faults.mixed(Y),
        *unreachable,
        *data_faults.contradicted(X, Y),
        *alike,
        *units.saturated(evidence, but=driven),
        # A relu of weight 0 is flat at 0: dead because symmetric.
        *units.dead(evidence, but=driven | {flag.where for flag in alike}),
        *rates.through_layers(evidence),
        *rates.step_length(evidence),
    ]
    flags = tuple(flag for flag in results if isinstance(flag, Flag))
    return flags, tuple(question for question in results if isinstance(question, str))
