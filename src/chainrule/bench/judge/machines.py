"""Machines: whether two runs were measured on one and the same, and what else differs between them."""

from collections.abc import Collection, Iterator
from typing import Any

from chainrule.bench.store import Records

# Facts of the environment that times depend on, and those that a comparison may be about. A
# device's clocks and temperature are never the same.
MACHINE = ("cpu", "cores", "governor", "system", "gpu name", "precision", "blas", "variables")
SOFTWARE = ("python", "gil", "versions")
# They change nothing where there is no GPU.
WITHOUT_GPU = ("variables CUPY_TF32", "variables NVIDIA_TF32_OVERRIDE")


def differences(before: Records, after: Records, wanted: Collection[str] = MACHINE) -> list[str]:
    """Return a line for each fact in which the environments of common contestants differ.

    A contestant is compared with itself at the same number of threads, for each loads libraries of its own.
    """
    lines = []
    for who in sorted(_contestants(before) & _contestants(after)):
        ours, theirs = _facts(before, *who), _facts(after, *who)
        for fact in sorted(ours.keys() | theirs.keys()):
            was, now = ours.get(fact, {"none"}), theirs.get(fact, {"none"})
            if was != now and (fact in wanted or fact.partition(" ")[0] in wanted):
                old, new = (" or ".join(sorted(values)) for values in (was, now))
                lines.append(f"{fact}: {old}, then {new}")
    return list(dict.fromkeys(lines))


def _contestants(records: Records) -> set[tuple[str, int]]:
    return {(one.contestant, one.threads) for one in records.measurements if one.status == "ok"}


def _facts(records: Records, contestant: str, threads: int) -> dict[str, set[str]]:
    """Return the values of each fact in the environments of a contestant's processes."""
    values: dict[str, set[str]] = {}
    for one in records.measurements:
        if (one.status, one.contestant, one.threads) == ("ok", contestant, threads):
            environment = records.environments.get(one.environment, {})
            for fact, value in facts(environment):
                if fact not in (() if environment.get("gpu") else WITHOUT_GPU):
                    values.setdefault(fact, set()).add(value)
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
    """Return a BLAS or OpenMP in words.

    Examples
    --------
    >>> library({"internal_api": "openblas", "version": "0.3.30", "num_threads": 2})
    'openblas 0.3.30 x 2 threads'
    """
    words = [facts.get("internal_api"), facts.get("version"), facts.get("architecture")]
    threads = facts.get("num_threads")
    return " ".join(str(word) for word in words if word) + (f" x {threads} threads" if threads else "")
