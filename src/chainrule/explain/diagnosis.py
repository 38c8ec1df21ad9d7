"""The diagnosis: all that is looked for, the root causes first."""

from chainrule.explain import data_faults, rates, units
from chainrule.explain.evidence import Evidence
from chainrule.explain.records import Flag


def diagnosed(evidence: Evidence) -> tuple[tuple[Flag, ...], tuple[str, ...]]:
    """Return what keeps a network of finite numbers from learning, and what its rows cannot answer."""
    alike = list(units.symmetric(evidence))
    found = [
        *data_faults.features(evidence.arrays["X"]),
        *data_faults.targets(evidence.arrays["X"], evidence.arrays["Y"]),
        *alike,
        *units.saturated(evidence),
        # A relu of weight 0 is flat at 0: it is dead because it is alike.
        *units.dead(evidence, but={flag.where for flag in alike}),
        *rates.through_layers(evidence),
        *rates.step_length(evidence),
    ]
    flags = tuple(flag for flag in found if isinstance(flag, Flag))
    return flags, tuple(question for question in found if isinstance(question, str))
