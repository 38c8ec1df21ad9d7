"""The commands of `chainrule bench`, and the options that they share."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import typer

from chainrule.bench import report as reports
from chainrule.bench import roster
from chainrule.bench.cells import DTYPES, GRID, PRESETS, QUICK_GRID, Cell, parse, preset
from chainrule.bench.judge import comparison, recommendation
from chainrule.bench.judge.machines import facts
from chainrule.bench.judge.results import Results
from chainrule.bench.link import Simulation
from chainrule.bench.measure import campaign, speedup
from chainrule.bench.measure.campaign import QUICK, Care
from chainrule.bench.measure.environment import environment
from chainrule.bench.report.word_table import Table, microseconds
from chainrule.bench.store import FILE, Measurement, read
from chainrule.cli import show
from chainrule.cli.errors import fail
from chainrule.cli.options import AsJson, argument, option, sizes
from chainrule.mathematics.naming import check_known, require
from chainrule.ranks import join
from chainrule.saving.files import check_writable, write_whole

app = typer.Typer(
    help="Measure which backend is fastest on this machine, and how near the machine's limit it is.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: chainrule bench env",
)

FOLDER = Path("bench-results")

Backends = Annotated[str | None, option("bench run.backend")]
Rule = Annotated[Literal["sgd", "adam"] | None, option("bench recommend.rule")]
Dtype = Annotated[Literal["float32", "float64"], option("bench recommend.dtype")]


def cells(
    names: str, grid: str | None, dtype: str, named: Sequence[str] | None, *, quick: bool
) -> list[Cell]:
    """Return the cells that the options name."""
    if named:
        return [parse(name) for name in named]
    chosen = list(PRESETS) if names == "all" else listed("preset", names, list(PRESETS))
    axes = grid or (QUICK_GRID if quick else GRID)
    dtypes = listed("dtype", dtype, list(DTYPES))
    return [cell for name in chosen for kind in dtypes for cell in preset(name, axes, kind)]


def contestants(named: str | None, *, peers: bool) -> list[str]:
    """Return the contestants, with the bare products of their libraries: those named, or every installed backend."""
    if named is not None:
        names = able(words(named))
    else:
        names = [name for name in roster.of(roster.BACKEND) if roster.entry(name).is_at_hand]
    if peers:
        others = map(roster.entry, roster.of(roster.PEER))
        names += [peer.name for peer in others if peer.is_at_hand and not peer.is_slow_to_make]
    return roster.with_products(names)


def able(names: list[str]) -> list[str]:
    """Return the names of contestants, all of which must be able to run here."""
    choose = "choose one that chainrule bench env lists"
    require(names, f"--backend names no contestant; {choose}")
    for name in names:
        lacking = " and ".join(roster.entry(name).lacking())
        require(not lacking, f"{name!r} needs what is missing here: {lacking}; install it, or {choose}")
    return names


def listed(kind: str, text: str, known: list[str]) -> list[str]:
    """Return the names in a text, each of which must be known."""
    for name in words(text):
        check_known(kind, name, known)
    return words(text)


def words(text: str) -> list[str]:
    """Return the words between the commas.

    Examples
    --------
    >>> words("numpy, jax")
    ['numpy', 'jax']
    """
    return [word.strip() for word in text.split(",") if word.strip()]


# -- The progress of a run -----


def progress() -> campaign.Listener:
    """Return a function that prints a line for each measured cell on standard error."""
    starts: list[tuple[float, int]] = []

    def shown(done: int, total: int, measured: Sequence[Measurement]) -> None:
        starts.append((time.monotonic(), done))
        start, before = starts[0]
        if measured:
            left = (starts[-1][0] - start) / (done - before) * (total - done)
            time_left = f"  about {timedelta(seconds=round(left))} left" if done < total else ""
            typer.echo(f"[{done}/{total}] {summary(measured)}{time_left}", err=True)
        elif done:
            typer.echo(f"{done} of {total} were measured before", err=True)

    return shown


def summary(measured: Sequence[Measurement]) -> str:
    """Return a line about a cell: its fastest contestant, bare products aside, and the failures.

    Examples
    --------
    >>> summary([Measurement("", 0, parse("2-4-1,4"), "step", "numpy", rounds=(0,), seconds=(0.01,), steps=100)])
    '2-4-1,4 step  numpy 100 us'
    """
    timed = [m for m in measured if m.is_timed and roster.entry(m.contestant).group != roster.PRODUCTS]
    parts = [f"{measured[0].cell.name} {measured[0].operation}"]
    if timed:
        fastest = min(timed, key=lambda m: median(m.per_step))
        parts.append(f"{fastest.contestant} {microseconds(median(fastest.per_step))} us")
    shown = {"wrong", "failed"} if timed else {"wrong", "failed", "skipped"}
    parts += [f"{m.contestant}: {m.reason}" for m in measured if m.status in shown]
    return "  ".join(parts)


# -- run -----


@app.command(epilog="Example: chainrule bench run --quick --cell 64-256-10,64 -o results")
def run(
    output: Annotated[Path, option("bench run.output")] = FOLDER,
    quick: Annotated[bool, option("bench run.quick")] = False,
    presets: Annotated[str, option("bench run.presets")] = "digits",
    grid: Annotated[str | None, option("bench run.grid", show_default=GRID)] = None,
    cell: Annotated[list[str] | None, option("bench run.cell")] = None,
    backend: Backends = None,
    peers: Annotated[bool, option("bench run.peers")] = False,
    operation: Annotated[str, option("bench run.operation")] = "step",
    dtype: Annotated[str, option("bench run.dtype")] = "float32",
    threads: Annotated[str, option("bench run.threads")] = "0",
    processes: Annotated[int | None, option("bench run.processes")] = None,
) -> None:
    """Measure the time of a training step on each backend, for networks and batches of many sizes.

    The same command continues an interrupted run. backend="auto" uses the results.
    """
    plan = campaign.Campaign(
        cells(presets, grid, dtype, cell, quick=quick),
        contestants(backend, peers=peers),
        listed("operation", operation, list(roster.OPERATIONS)),
        processes or (1 if quick else 3),
        sizes([threads], "--threads", least=0),
        QUICK if quick else Care(),
    )
    try:
        records = campaign.run(plan, output, progress())
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted; the measurements in {output} are kept, and the same command continues",
            err=True,
        )
        raise typer.Exit(130) from None
    taken = [m for m in records.measurements if roster.entry(m.contestant).group != roster.PRODUCTS]
    if all(one.status != "ok" for one in taken):
        fail(f"nothing was measured: {taken[0].reason}")
    results = Results(records)
    recommendation.store(results)
    show.console().print(reports.terminal(results))


# -- report -----

Form = Literal["term", "md", "html", "json", "png", "svg"]
_TEXTS: dict[str, Callable[[Results], str]] = {
    "md": reports.markdown,
    "html": reports.html,
    "json": reports.derived,
}


@app.command(epilog="Example: chainrule bench report results --format html -o report.html")
def report(
    folder: Annotated[Path, argument("bench report.folder")],
    form: Annotated[Form, option("bench report.form")] = "term",
    output: Annotated[Path | None, option("bench report.output")] = None,
) -> None:
    """Show the results of a run: the fastest backend of each size, and how near the machine's limit it is."""
    results = Results(read(folder))
    require(results.rows, f"{folder} holds no measurements; measure with: chainrule bench run")
    if form in {"png", "svg"}:
        inside = folder if folder.is_dir() else folder.parent
        for file in reports.figures(results, output or inside / "figures", form):
            typer.echo(f"wrote {file}", err=True)
    elif form == "term":
        require(output is None, f"{output} is not written by --format term; give md, html or json")
        show.console().print(reports.terminal(results))
    elif output is None:
        typer.echo(_TEXTS[form](results), nl=False)
    else:
        file = check_writable(output, (folder, folder / FILE))
        write_whole(file, _TEXTS[form](results).encode())
        typer.echo(f"wrote {output}", err=True)


# -- compare -----

SLOWER = 1  # exit code if a contestant is slower
HEAD = ("cell", "contestant", "before,\nµs", "after,\nµs", "times", "95 %\ninterval", "verdict")


@app.command(epilog="Example: chainrule bench compare products-numpy numpy --in results")
def compare(
    before: Annotated[str, argument("bench compare.before")],
    after: Annotated[str, argument("bench compare.after")],
    inside: Annotated[Path | None, option("bench compare.in")] = None,
    force: Annotated[bool, option("bench compare.force")] = False,
    fail: Annotated[bool, option("bench compare.fail")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare two runs, or two contestants of one run: faster, slower, the same or undecided in each cell."""
    if inside is not None:
        result = comparison.compare_contestants(read(inside), before, after)
    else:
        result = comparison.compare(read(Path(before)), read(Path(after)), force=force)
    table = Table(f"{after} compared with {before}, a step; means are geometric", HEAD, texts=2)
    for row in [*result.rows, *result.means]:
        times = microseconds(row.before), microseconds(row.after), f"{row.ratio.estimate:.3f}"
        ends = row.ratio.ends("{:.3f}".format)
        table.rows.append((row.cell, row.contestant, *times, ends, row.verdict))
    table.notes = result.notes
    show.results([table], {"rows": table.records, "notes": [*result.notes]}, as_json=as_json)
    if fail and result.slower:
        raise typer.Exit(SLOWER)


# -- recommend -----


@app.command(epilog="Example: chainrule bench recommend --layers 784,256,10 --batch 128")
def recommend(
    layers: Annotated[str, option("bench recommend.layers")],
    batch: Annotated[int, option("bench recommend.batch")],
    rule: Rule = None,
    dtype: Dtype = "float32",
    backend: Backends = None,
    again: Annotated[bool, option("bench recommend.again")] = False,
    as_json: AsJson = False,
) -> None:
    """Name the fastest backend for a network on this machine, and how certain that is.

    Uses the stored measurements if they decide it; otherwise measures for about 20 s.
    """
    known = roster.of(roster.BACKEND)
    chosen = None if backend is None else able(listed("backend", backend, known))
    cell = _cell(layers, batch, rule, dtype)
    try:
        answer = recommendation.recommend(cell, campaign.measure, contestants=chosen, again=again)
    except RuntimeError as error:
        fail(str(error))
    choice, notes = answer.choice, [*answer.notes]
    table = Table(choice.sentence, ("backend", "µs a step", "95 % interval", "known"), notes=notes)
    for row in choice.estimates:
        middle, ends = microseconds(row.seconds.estimate), row.seconds.ends(microseconds)
        table.rows.append((row.label, middle, ends, row.how))
    record = {"sentence": choice.sentence, "backend": choice.backend, "rows": table.records}
    show.results([table], record | {"measured": answer.was_measured, "notes": notes}, as_json=as_json)


def _cell(layers: str, batch: int, rule: str | None, dtype: str) -> Cell:
    """Return the cell that the options describe."""
    widths = sizes([layers], "--layers")
    problem = f"--layers {layers}: wanted inputs, hidden layers and outputs, as in --layers 784,256,10"
    require(len(widths) >= 3, problem)
    default = "sgd" if len(widths) == 3 else "adam"  # only adam has two or more hidden layers
    return parse(f"{'-'.join(map(str, widths))},{batch},{rule or default},{dtype}")


# -- scale -----


@app.command(epilog="Example: chainrule bench scale --layers 64,16,10 --batch 64")
def scale(
    layers: Annotated[str, option("bench recommend.layers")] = "784,256,10",
    batch: Annotated[int, option("bench scale.batch")] = 4096,
    rule: Rule = None,
    dtype: Dtype = "float32",
    ranks: Annotated[str | None, option("bench scale.ranks")] = None,
    threads: Annotated[int | None, option("bench scale.threads")] = None,
    simulate: Annotated[str | None, option("bench scale.simulate")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how much faster several processes train one network, and compare it with a predicted speed-up.

    Start it as: mpiexec -n 2 chainrule bench scale --ranks mpi.
    """
    asked = None if simulate is None else Simulation.parsed(simulate)
    group = join(ranks or "alone")
    measured = speedup.measure(_cell(layers, batch, rule, dtype), group, threads)
    if group.rank > 0:
        return
    count = f"{group.size} rank{'s' * (group.size > 1)} ({group.name})"
    title = f"{measured.cell.name}: a step on {count}"
    tables = [Table(title, speedup.HEAD, [*measured.table()])]
    if measured.sums:
        rows: list[Sequence[str]] = [(f"{n}", f"{1e6 * s:.3g}") for n, s in measured.sums.items()]
        notes = [f"a step of this network adds up {measured.nbytes} bytes"]
        tables.append(Table("a sum over the ranks", ("bytes", "µs"), rows, notes))
    if asked is not None:
        notes = ["by the model: the line through one rank's steps, and the sum over that link"]
        rows = [*measured.simulated(asked)]
        tables.append(Table(f"simulated: {simulate}", speedup.SIMULATED_HEAD, rows, notes))
    show.results(tables, {table.title: table.records for table in tables}, as_json=as_json)


# -- env -----


@app.command(epilog="Example: chainrule bench env --json")
def env(as_json: AsJson = False) -> None:
    """Describe this machine, and list the contestants that can run on it."""
    here = environment()
    table = Table("contestants", ("name", "group", "description, or what it needs"), texts=3)
    contestants = []
    for one in roster.ROSTER.values():
        missing = one.lacking()
        text = f"needs {', '.join(missing)}" if missing else one.description
        table.rows.append((one.name, one.group, text))
        record = {"name": one.name, "group": one.group, "missing": missing}
        contestants.append(record | {"description": one.description})
    machine = show.facts("this machine", dict(facts(here)))
    show.results([machine, table], {**here, "contestants": contestants}, as_json=as_json)
