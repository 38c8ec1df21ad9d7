"""The diagnosis: all that is looked for, the root causes first."""

from chainrule.explain import data_faults, rates, units
from chainrule.explain.evidence import Evidence
from chainrule.explain.records import Flag


def diagnosed(evidence: Evidence) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    """Return what keeps a network of finite numbers from learning, and what its rows cannot answer."""
    X, Y = evidence.arrays["X"], evidence.arrays["Y"]
    alike = list(units.symmetric(evidence))
    unreachable = list(data_faults.out_of_reach(Y, evidence.curves[-1]))
    # An output that is drawn beyond its range is flat, or dead, because of its targets.
    drawn = {f"layer {evidence.depth}"} if unreachable else set()
    found = [
        *data_faults.features(X),
        *data_faults.mixed(Y),
        *unreachable,
        *data_faults.contradicted(X, Y),
        *alike,
        *units.saturated(evidence, but=drawn),
        # A relu of weight 0 is flat at 0: it is dead because it is alike.
        *units.dead(evidence, but=drawn | {flag.where for flag in alike}),
        *rates.through_layers(evidence),
        *rates.step_length(evidence),
    ]
    flags = tuple(flag for flag in found if isinstance(flag, Flag))
    return flags, tuple(question for question in found if isinstance(question, str))
