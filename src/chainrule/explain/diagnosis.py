"""The diagnosis: all that is looked for, the root causes first."""

from chainrule.explain import flow, table, units
from chainrule.explain.evidence import Evidence
from chainrule.explain.records import Findings


def findings(evidence: Evidence) -> Findings:
    """Return what keeps a network of finite numbers from learning."""
    aligned = table.targets(evidence.arrays["X"], evidence.arrays["Y"])
    alike = list(units.symmetric(evidence))
    flags = [
        *table.features(evidence.arrays["X"]),
        *([aligned.flag] if aligned.flag else []),
        *alike,
        *units.saturated(evidence),
        # A relu of weight 0 is flat at 0: it is dead because it is alike.
        *(flag for flag in units.dead(evidence) if flag.where not in {a.where for a in alike}),
        *flow.through_layers(evidence),
        *flow.step_length(evidence),
    ]
    return Findings(tuple(flags), (aligned.undecided,) if aligned.undecided else ())
