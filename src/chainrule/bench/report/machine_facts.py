"""The machine: what was measured on, in a line and in rows; the notes on flags."""

from typing import Any

from chainrule.bench.judge.machines import library
from chainrule.bench.judge.results import FLAGS
from chainrule.bench.report.findings import Findings

UNKNOWN = "an unknown machine"


def line(found: Findings) -> str:
    """Return what it was measured on, in one line."""
    known = found.results.environments
    if not known:
        return UNKNOWN
    first = known[0]
    parts = [_processor(first), *_devices(known), *_blas(known), f"Python {first.get('python', '?')}"]
    return ", ".join([*parts, *_versions(known)])


def short(found: Findings) -> str:
    """Return the processor and the device alone."""
    known = found.results.environments
    return ", ".join([_processor(known[0]), *_devices(known)]) if known else UNKNOWN


def rows(found: Findings) -> list[tuple[str, str]]:
    """Return every fact of the environments, a name and what it was; where they differ, all values."""
    told: dict[str, dict[str, None]] = {}
    for environment in found.results.environments:
        pools = [library(pool) for pool in _listed(environment.get("blas"))]
        for name, value in _flat(environment | {"blas": ", ".join(sorted(set(pools)))}):
            told.setdefault(name, {})[value] = None
    return [(name, " / ".join(values)) for name, values in told.items()]


def flags(found: Findings) -> list[str]:
    """Return the flags that were raised, each with its meaning and how often."""
    raised = [flag for one in found.rows for flag in one.flags]
    return [
        f"{flag}: {FLAGS.get(flag, 'raised while it was measured')} ({raised.count(flag)} of "
        f"{len(found.rows)} rows)"
        for flag in dict.fromkeys(sorted(raised))
    ]


def date(found: Findings) -> str:
    """Return the day of the newest run, or nothing."""
    runs = [one.run[:10] for one in found.results.records.measurements]
    return max((run for run in runs if run[:4].isdecimal()), default="")


def _processor(environment: dict[str, Any]) -> str:
    cores = environment.get("cores")
    name = " ".join(str(environment.get("cpu") or "unknown processor").replace("(R)", "").split())
    return f"{name}, {cores} core{'' if cores == 1 else 's'}" if cores else name


def _devices(known: list[dict[str, Any]]) -> list[str]:
    named = [
        gpu.get("name") if isinstance(gpu, dict) else gpu
        for one in known
        for gpu in _listed(one.get("gpu"))
    ]
    return list(dict.fromkeys(str(name) for name in named if name))


def _blas(known: list[dict[str, Any]]) -> list[str]:
    """Return the BLAS libraries, each once, with their threads."""
    pools = [
        pool for one in known for pool in _listed(one.get("blas")) if pool.get("user_api") == "blas"
    ]
    named = [
        f"{pool.get('internal_api')} {pool.get('version') or ''}".strip()
        + f" ({pool.get('num_threads')} thread{'' if pool.get('num_threads') == 1 else 's'})"
        for pool in pools
    ]
    return list(dict.fromkeys(named))


def _versions(known: list[dict[str, Any]]) -> list[str]:
    versions = {name: number for one in known for name, number in (one.get("versions") or {}).items()}
    return [f"{name} {number}" for name, number in versions.items()]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return the leaves of nested records, each with the path to it."""
    if isinstance(value, dict):
        hidden = {"record", "id"} if not name else set()
        pairs = [(key, held) for key, held in value.items() if key not in hidden]
        return [leaf for key, held in pairs for leaf in _flat(held, f"{name} {key}".strip())]
    if isinstance(value, list) and any(isinstance(held, dict) for held in value):
        return [leaf for number, held in enumerate(value, 1) for leaf in _flat(held, f"{name} {number}")]
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return [] if value in (None, "") else [(name, str(value))]
