"""The machine and the method: where and how a run was measured, and what makes its figures doubtful."""

from importlib.resources import files
from statistics import median
from string import Template

from chainrule.bench.judge.figures import FLAGS
from chainrule.bench.judge.machines import facts, library
from chainrule.bench.judge.results import Results
from chainrule.bench.judge.statistics import BAND
from chainrule.bench.report.formats import number, percent
from chainrule.bench.report.word_table import Table
from chainrule.bench.store import Measurement

UNKNOWN = "an unknown machine"
FEW_PROCESSES = 3
NOISY = 0.25  # the range of a contestant's blocks over their median
BUSY = 0.5  # load average for each core


def _facts(run: Results) -> dict[str, str]:
    """Return every fact of the environments by name, with all values where they differ."""
    values: dict[str, dict[str, None]] = {}
    for name, value in (fact for one in run.environments for fact in facts(one)):
        values.setdefault(name, {})[value] = None
    return {name: " / ".join(texts) for name, texts in values.items()}


def environment(run: Results) -> Table:
    """Return the facts of the environments."""
    rows = [*_facts(run).items()] or [("machine", UNKNOWN)]
    return Table("Measured on", ["fact", "value"], [*rows], texts=2)


def line(run: Results) -> str:
    """Return the machine and the versions in one line."""
    known = _facts(run)
    if not known:
        return UNKNOWN
    pools = [pool for one in run.environments for pool in one.get("blas") or []]
    blas = [library(pool) for pool in pools if pool.get("user_api", "blas") == "blas"]
    names = [name for name in known if name.startswith("versions ")]
    versions = [f"{name.removeprefix('versions ')} {known[name]}" for name in names]
    return ", ".join([short(run), *dict.fromkeys(blas), f"Python {known.get('python', '?')}", *versions])


def short(run: Results) -> str:
    """Return the processor and the device."""
    known = _facts(run)
    if not known:
        return UNKNOWN
    name = " ".join(known.get("cpu", "unknown processor").replace("(R)", "").split())
    cores = known.get("cores")
    counted = f"{cores} core{'' if cores == '1' else 's'}" if cores else ""
    return ", ".join(filter(None, (name, counted, known.get("gpu name"))))


def date(run: Results) -> str:
    """Return the day of the newest run, or nothing."""
    days = [one.run[:10] for one in run.records.measurements]
    return max((day for day in days if day[:4].isdecimal()), default="")


def _measured(run: Results) -> list[Measurement]:
    return [one for one in run.records.measurements if one.is_timed]


def doubts(run: Results) -> list[str]:
    """Return what makes the figures doubtful, to be read first: a busy machine, noise, few processes."""
    measured = _measured(run)
    if not measured:
        return []
    lines = [run.busy()]
    load = max((one.get("load") or 0 for one in run.environments), default=0)
    cores = max((one.get("cores") or 1 for one in run.environments), default=1)
    if load > BUSY * cores:
        lines.append(
            f"The machine was loaded when processes started: load average up to {load:g} on {cores} cores, the "
            "benchmark's own work included."
        )
    for flag in ("above limit", "invalid"):
        if count := sum(flag in f.flags for f in run.rows):
            lines.append(f"{count} of {len(run.rows)} rows have the flag {flag!r}: {FLAGS[flag]}.")
    spread = median((max(m.seconds) - min(m.seconds)) / median(m.seconds) for m in measured)
    if spread > NOISY:
        lines.append(
            f"Noisy: the times of a contestant range over {percent(spread)} of their median (median over "
            "contestants). Compare by ratios, and ignore small differences."
        )
    if len({m.process for m in measured}) < FEW_PROCESSES:
        lines.append(
            "Preliminary: fewer than three sets of processes. The same code can differ by some percent "
            "between processes."
        )
    return [text for text in lines if text]


def method(run: Results) -> list[str]:
    """Return how the run was measured, a sentence or two each, from ``method.txt``."""
    measured = _measured(run)
    text = files(__package__).joinpath("method.txt").read_text(encoding="utf-8")
    values = {
        "rounds": number(median(len(m.seconds) for m in measured) if measured else 0),
        "processes": len({m.process for m in measured}),
        "band": percent(BAND),
    }
    return Template(text).substitute(values).splitlines()
