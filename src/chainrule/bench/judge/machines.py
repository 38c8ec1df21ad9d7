"""Machines: whether two runs were measured on one and the same, and what else differs between them."""

from collections.abc import Iterable, Iterator
from typing import Any

from chainrule.bench.store import Records

# Facts of the environment that times depend on, whoever measures; and those that a comparison may be about.
MACHINE = ("cpu", "cores", "quota", "governor", "system", "gpu", "precision", "blas", "variables")
SOFTWARE = ("python", "gil", "versions")


class DifferentMachinesError(ValueError):
    """Two runs that were not measured on one machine; the message says what differs."""


def differences(before: Records, after: Records, facts: Iterable[str] = MACHINE) -> list[str]:
    """Return a line for each fact in which the environments of common contestants differ.

    A contestant is compared with itself at the same number of threads, for each loads libraries of its own.
    """
    wanted, found = tuple(facts), []
    for who in sorted(_contestants(before) & _contestants(after)):
        ours, theirs = _facts(before, *who), _facts(after, *who)
        for fact in sorted(ours.keys() | theirs.keys()):
            was, now = ours.get(fact, {"none"}), theirs.get(fact, {"none"})
            if was != now and fact.partition(" ")[0] in wanted:
                old, new = (" or ".join(sorted(values)) for values in (was, now))
                found.append(f"{fact}: {old}, then {new}")
    return list(dict.fromkeys(found))


def check_same_machine(before: Records, after: Records) -> None:
    """Raise where two runs cannot be compared.

    Raises
    ------
    DifferentMachinesError
        If a fact of the machine differs; it names each.
    """
    found = differences(before, after)
    if found:
        msg = (
            f"the runs are of different machines ({'; '.join(found)}); "
            "measure both on one machine, or compare them all the same with --force"
        )
        raise DifferentMachinesError(msg)


def _contestants(records: Records) -> set[tuple[str, int]]:
    return {(one.contestant, one.threads) for one in records.measurements if one.status == "ok"}


def _facts(records: Records, contestant: str, threads: int) -> dict[str, set[str]]:
    """Return, for each fact, what the processes of a contestant said; ``versions numpy`` is one of them."""
    found: dict[str, set[str]] = {}
    for one in records.measurements:
        if (one.status, one.contestant, one.threads) == ("ok", contestant, threads):
            for fact, value in _flat(records.environments.get(one.environment, {})):
                found.setdefault(fact, set()).add(value)
    return found


def _flat(environment: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for fact in (*MACHINE, *SOFTWARE):
        value = environment.get(fact)
        if fact == "gpu" and value:
            yield fact, value["name"]  # its clocks and temperature are never the same
        elif fact == "blas":
            yield fact, ", ".join(sorted(map(library, value or []))) or "none"
        elif fact == "variables":
            held = value or {}
            yield from (
                (f"{fact} {key}", held[key]) for key in held if key not in _without_use(environment)
            )
        elif isinstance(value, dict):
            yield from ((f"{fact} {key}", str(part)) for key, part in value.items())
        elif value is not None:
            yield fact, str(value)


def _without_use(environment: dict[str, Any]) -> tuple[str, ...]:
    """Return the variables that change nothing there: they are about a GPU, and there is none."""
    return () if environment.get("gpu") else ("CUPY_TF32", "NVIDIA_TF32_OVERRIDE")


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
