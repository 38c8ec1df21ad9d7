"""Machines: whether two runs are of the same machine, and what else differs between them."""

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any

from chainrule.bench.store import Records

# Facts of the environment that times depend on, and facts that a comparison may be about. A
# device's clocks and temperature are never the same.
MACHINE = ("cpu", "cores", "governor", "system", "gpu name", "precision", "blas", "variables")
SOFTWARE = ("python", "gil", "versions")


def differences(before: Records, after: Records, wanted: Collection[str] = MACHINE) -> list[str]:
    """Return a line for each fact in which the environments of common contestants differ.

    A contestant is compared with itself at the same number of threads, since each loads its own libraries.
    """
    old, new = _facts(before), _facts(after)
    lines = []
    for key in sorted(old.keys() & new.keys()):
        for fact in sorted(old[key].keys() | new[key].keys()):
            was, now = (" or ".join(sorted(run[key].get(fact, {"none"}))) for run in (old, new))
            if was != now and (fact in wanted or fact.partition(" ")[0] in wanted):
                lines.append(f"{fact}: {was}, then {now}")
    return list(dict.fromkeys(lines))


def _facts(records: Records) -> dict[tuple[str, int], dict[str, set[str]]]:
    """Return by contestant and threads the values of each fact in the environments of its processes."""
    values: dict[tuple[str, int], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in records.measurements:
        environment = records.environments.get(one.environment, {}) if one.status == "ok" else {}
        for fact, value in facts(environment):
            values[one.contestant, one.threads][fact].add(value)
    return values


def facts(environment: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the facts of an environment as text, those in nested records as ``versions numpy``."""
    pools = sorted(map(library, environment.get("blas") or []))
    return _leaves(environment | {"blas": list(dict.fromkeys(pools))})


def _leaves(record: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        name = f"{above} {key}".strip()
        if isinstance(value, dict):
            yield from _leaves(value, name)
        elif value not in (None, "", []) and name not in {"record", "id"}:
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def library(facts: dict[str, Any]) -> str:
    """Return the name, version and threads of a BLAS or OpenMP library.

    Examples
    --------
    >>> library({"internal_api": "openblas", "version": "0.3.30", "num_threads": 2})
    'openblas 0.3.30 x 2 threads'
    """
    words = [facts.get("internal_api"), facts.get("version"), facts.get("architecture")]
    threads = facts.get("num_threads")
    return " ".join(str(word) for word in words if word) + (f" x {threads} threads" if threads else "")
