"""The report: the times, the ratios and the summary, from records, without measuring anything."""

from collections.abc import Sequence
from statistics import median

from step_contestants import ENTRIES, FLOOR, INFORMATION, NOTEBOOK, OURS, PEER, in_group
from step_contestants.cells import THIRTEEN, parse

from chainrule.bench.table import Table, number
from step_table.figures import Figures, geometric_mean

PEERS = in_group(PEER)
STRONGEST = [*PEERS, "torch-buffers"]
WIDE = 512  # the hidden size from which the share of the floor is a goal
TRAINED = "64-256-10,256"  # the cell in which train is held to the bare step
TINY = "2-4-1,4"


def report(figures: Figures) -> list[Table]:
    """Return every table that there are figures for."""
    tables = [times(figures), ratios(figures), information(figures), summary(figures)]
    return [table for table in tables if table.rows]


def times(figures: Figures) -> Table:
    """Return the times of a step."""
    names = _known(figures, in_group(FLOOR, OURS, NOTEBOOK, PEER))
    table = Table("µs a step, median over the rounds", ["cell", *names])
    for cell in figures.cells:
        table.rows.append([cell, *(number(figures.time(cell, name)) for name in names)])
    table.notes = [f"{name}: {ENTRIES[name].says}" for name in names]
    table.notes += [
        f"{status}: {line}" for status in ("skipped", "wrong", "failed") for line in figures.said(status)
    ]
    table.notes += [_how(figures), _machine(figures)]
    return table


def ratios(figures: Figures) -> Table:
    """Return how many times as long as ours the others take, and the floor's share of ours."""
    kinds = _known(figures, in_group(OURS))
    head = ["cell", "best peer"]
    for ours in kinds:
        head += [f"best/{ours}", f"notebook/{ours}", f"floor/{ours}"]
    table = Table("Others' time over ours, median of the rounds' ratios", head, texts=2)
    for cell in figures.cells:
        best = [figures.best(cell, PEERS, ours) for ours in kinds]
        row = [cell, next((found.peer for found in best if found), "-")]
        for ours, found in zip(kinds, best, strict=True):
            row.append(number(found.ratio if found else None))
            row += [number(figures.ratio(cell, other, ours)) for other in ("notebook", "floor")]
        if kinds:
            table.rows.append(row)
    return table


def information(figures: Figures) -> Table:
    """Return what no goal is measured against."""
    names = _known(figures, in_group(INFORMATION))
    pairs = [(f"train-{ours}", ours) for ours in in_group(OURS) if f"train-{ours}" in names]
    head = ["cell", *names, *(f"{train}/{ours}" for train, ours in pairs)]
    table = Table("For information: µs a step", head)
    table.notes = [f"{name}: {ENTRIES[name].says}" for name in names]
    for cell in figures.cells if names else []:
        row = [cell, *(number(figures.time(cell, name)) for name in names)]
        table.rows.append([*row, *(number(figures.ratio(cell, *pair)) for pair in pairs)])
    return table


def summary(figures: Figures) -> Table:
    """Return the lines of the issue, with its goals."""
    table = Table("Summary", ["what", "measured", "goal", "least"])
    for ours in in_group(OURS):
        table.rows += _against_peers(figures, ours)
        table.rows += _against_others(figures, ours)
    return table


GOALS = {"jit": ("1.6", "1.3"), "plain": ("1.2", "1.05")}
TINY_GOALS = {"jit": ("6", "8"), "plain": ("10", "12")}
NONE = ("", "")


def _against_peers(figures: Figures, ours: str) -> list[list[str]]:
    """Return the lines on the best of the peers: their geometric mean, and the worst cell."""
    cells = [cell.name for cell in THIRTEEN]
    rows = []
    for peers, who, goal in ((PEERS, "best peer", GOALS[ours]), (STRONGEST, "torch-buffers too", NONE)):
        found = {cell: figures.best(cell, peers, ours) for cell in cells}
        best = {cell: it for cell, it in found.items() if it is not None}
        if not best or (peers is STRONGEST and not _known(figures, ["torch-buffers"])):
            continue
        mean = geometric_mean(it.ratio for it in best.values())
        rows.append([f"{ours}: {who}, geometric mean of {len(best)} cells", number(mean, "x"), *goal])
        worst = min(best, key=lambda cell: best[cell].ratio)
        label = f"{ours}: {who}, worst cell ({worst}, {best[worst].peer})"
        goals = ("1.0", "0.8") if ours == "jit" and peers is PEERS else NONE
        rows.append([label, number(best[worst].ratio, "x"), *goals])
    return rows


def _against_others(figures: Figures, ours: str) -> list[list[str]]:
    """Return the lines on the notebook, the floor, the smallest cell and train."""
    cells, rows = [cell.name for cell in THIRTEEN], []
    notebook = [r for cell in cells if (r := figures.ratio(cell, "notebook", ours)) is not None]
    if notebook:
        label = f"{ours}: the notebook, geometric mean of {len(notebook)} cells"
        rows.append([label, number(geometric_mean(notebook), "x"), "2.5", "2.0"])
    for cell in figures.cells:
        share = figures.ratio(cell, "floor", ours)
        if share is not None and parse(cell).hidden >= WIDE and not parse(cell).adam:
            rows.append([f"{ours}: share of the floor, {cell}", number(share), "0.95", "0.85"])
    if (tiny := figures.time(TINY, ours)) is not None:
        rows.append([f"{ours}: {TINY}", number(tiny, " us"), *TINY_GOALS[ours]])
    if (trained := figures.ratio(TRAINED, f"train-{ours}", ours)) is not None:
        label = f"{ours}: train over the bare step, {TRAINED}"
        rows.append([label, f"{100 * (trained - 1):+.1f} %", "5 %", "10 %"])
    return rows


def _known(figures: Figures, names: Sequence[str]) -> list[str]:
    """Return those that there is any figure of."""
    return [name for name in names if any(figures.time(cell, name) for cell in figures.cells)]


def _how(figures: Figures) -> str:
    spreads = figures.spreads()
    spread = ""
    if spreads:
        spread = f"; a contestant's rounds differ by {median(spreads):.0%} (median), {max(spreads):.0%} (most)"
    again = "" if figures.rounds >= 5 else "; fewer than 5 rounds: preliminary"
    return f"rounds: {figures.rounds}{spread}{again}"


def _machine(figures: Figures) -> str:
    """Return what it was measured on, in a line."""
    known = [record["environment"] for record in figures.records if "environment" in record]
    if not known:
        return "machine: unknown"
    versions = {name: number for each in known for name, number in each["versions"].items()}
    pools = [pool for each in known for pool in each["blas"] if pool["user_api"] == "blas"]
    blas = "".join(
        f"; {pool['internal_api']} {pool.get('version')} ({pool.get('architecture')}), threads "
        f"{pool['num_threads']}"
        for pool in pools[:1]
    )
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    load = max(each["load"] or 0.0 for each in known)
    return (
        f"machine: {known[0]['cpu']}, {known[0]['cores']} cores{blas}; Python {known[0]['python']}, "
        f"{listed}; highest load average {load}; commit {figures.records[-1]['commit']}"
    )
