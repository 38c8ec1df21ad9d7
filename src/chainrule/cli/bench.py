"""The commands of `chainrule bench`, and the options that they share."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from chainrule.backends.speed_map.spots import Interval
from chainrule.bench import report as reports
from chainrule.bench import roster
from chainrule.bench.cells import DTYPES, GRID, PRESETS, QUICK_GRID, RULES, Cell, parse, preset
from chainrule.bench.judge import comparison, recommendation
from chainrule.bench.judge.machines import facts
from chainrule.bench.judge.results import Results
from chainrule.bench.link import Simulation
from chainrule.bench.measure import campaign, speedup
from chainrule.bench.measure.campaign import QUICK, Care
from chainrule.bench.measure.environment import environment
from chainrule.bench.report.word_table import NONE, Table, microseconds
from chainrule.bench.store import read
from chainrule.cli.errors import fail
from chainrule.cli.options import AsJson, argument, option
from chainrule.cli.show import console, facts_table
from chainrule.mathematics.naming import check_known, require
from chainrule.program.machine import cores
from chainrule.ranks import join

app = typer.Typer(
    help="Measure where a network runs fastest here, and how near the limit it is.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: chainrule bench env",
)

FOLDER = Path("bench-results")
BEST = "best"

Backends = Annotated[str | None, option("bench run.backend")]


def cells(
    names: str, grid: str | None, dtype: str, given: Sequence[str] | None, *, quick: bool
) -> list[Cell]:
    """Return the cells that the options name."""
    if given:
        return [parse(name) for name in given]
    chosen = list(PRESETS) if names == "all" else listed("preset", names, list(PRESETS))
    wanted = grid or (QUICK_GRID if quick else GRID)
    dtypes = listed("dtype", dtype, list(DTYPES))
    return [cell for name in chosen for kind in dtypes for cell in preset(name, wanted, kind)]


def contestants(named: str | None, *, peers: bool) -> list[str]:
    """Return who takes part, with the bare products of their libraries: those named, else every backend that is installed."""
    if named is not None:
        names = [roster.entry(name).name for name in words(named)]
    else:
        names = [name for name in roster.of(roster.BACKEND) if roster.entry(name).is_at_hand]
    if peers:
        others = map(roster.entry, roster.of(roster.PEER))
        names += [peer.name for peer in others if peer.is_at_hand and not peer.is_slow_to_make]
    return roster.with_products(names)


def thread_counts(given: str | None) -> tuple[int, ...]:
    """Return the numbers of threads to measure with; 0 is each library's own choice.

    Examples
    --------
    >>> thread_counts(None), thread_counts("1,2")
    ((0,), (1, 2))
    """
    if given is None:
        return (0,)
    if given == BEST:
        return tuple(2**power for power in range(cores().bit_length()) if 2**power <= cores())
    are_counts = all(word.isdecimal() and int(word) for word in words(given))
    problem = f"--threads {given}: wanted whole numbers of 1 or more with commas, or {BEST}"
    require(are_counts, problem)
    return tuple(int(word) for word in words(given))


def listed(kind: str, given: str, known: list[str]) -> list[str]:
    """Return the names in ``given``, each of which must be known."""
    for name in words(given):
        check_known(kind, name, known)
    return words(given)


def words(given: str) -> list[str]:
    """Return the words between the commas.

    Examples
    --------
    >>> words("numpy, jax")
    ['numpy', 'jax']
    """
    return [word.strip() for word in given.split(",") if word.strip()]


# -- The progress of a run -----

HOUR = 3600.0  # seconds over which the speed is averaged: a cell may take minutes


@contextmanager
def progress() -> Iterator[campaign.Listener]:
    """Yield what shows on standard error how a run goes on."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = MofNCompleteColumn(), BarColumn(bar_width=16), TimeRemainingColumn()
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=HOUR,
    )
    task = bar.add_task("")

    def shown(done: int, total: int, lines: Sequence[dict[str, Any]]) -> None:
        bar.update(task, completed=done, total=total)
        left = bar.tasks[0].time_remaining
        text = summary(lines) if lines else f"{done} of {total} were measured before" if done else ""
        if text and not console.is_terminal:
            text = f"[{done}/{total}] {text}" + (
                f"  about {timedelta(seconds=round(left))} left" if left else ""
            )
        if text:
            console.print(text, markup=False)

    with bar:
        yield shown


def summary(lines: Sequence[dict[str, Any]]) -> str:
    """Return a line about a cell: its fastest contestant that is not just products, and what went wrong.

    Examples
    --------
    >>> line = {"record": "measurement", "contestant": "numpy", "status": "ok", "seconds": [0.01], "steps": 100}
    >>> summary([line | {"cell": "2-4-1,4", "operation": "step"}])
    '2-4-1,4 step  numpy 100 us'
    """
    measured = [line for line in lines if line["record"] == "measurement"]
    times = [
        (min(line["seconds"]) / line["steps"], line["contestant"])
        for line in measured
        if line["status"] == "ok" and roster.entry(line["contestant"]).group != roster.PRODUCTS
    ]
    parts = [f"{measured[0]['cell']} {measured[0]['operation']}"]
    if times:
        seconds, who = min(times)
        parts.append(f"{who} {1e6 * seconds:.3g} us")
    failed = [line for line in measured if line["status"] in {"wrong", "failed"}]
    parts += [f"{line['contestant']}: {line['reason']}" for line in failed]
    if all(line["status"] == "skipped" for line in measured):
        parts.append(f"skipped: {measured[0]['reason']}")
    return "  ".join(parts)


# -- run -----


@app.command(epilog="Example: chainrule bench run --quick --cell 64-256-10,64 -o results")
def run(
    output: Annotated[Path, option("bench run.output")] = FOLDER,
    quick: Annotated[bool, option("bench run.quick")] = False,
    presets: Annotated[str, option("bench run.presets")] = "digits",
    grid: Annotated[str | None, option("bench run.grid", help=f'As in "{GRID}".')] = None,
    cell: Annotated[list[str] | None, option("bench run.cell")] = None,
    backend: Backends = None,
    peers: Annotated[bool, option("bench run.peers")] = False,
    operation: Annotated[str, option("bench run.operation")] = "step",
    dtype: Annotated[str, option("bench run.dtype")] = "float32",
    threads: Annotated[str | None, option("bench run.threads")] = None,
    processes: Annotated[int | None, option("bench run.processes")] = None,
) -> None:
    """Measure which backend is fastest where. What DIR holds is kept: a run goes on.

    What was measured is also what backend="auto" goes by.
    """
    plan = campaign.Campaign(
        cells(presets, grid, dtype, cell, quick=quick),
        contestants(backend, peers=peers),
        listed("operation", operation, list(roster.OPERATIONS)),
        processes or (1 if quick else 3),
        thread_counts(threads),
        QUICK if quick else Care(),
    )
    try:
        with progress() as listener:
            records = campaign.run(plan, output, listener)
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted; what was measured is kept. The same command goes on: {output}", err=True
        )
        raise typer.Exit(130) from None
    taken = [m for m in records.measurements if roster.entry(m.contestant).group != roster.PRODUCTS]
    if all(one.status != "ok" for one in taken):
        fail(f"nothing was measured: {taken[0].reason}")
    results = Results(records)
    recommendation.store(results)
    console().print(reports.terminal(results))


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
    """Show what a run says: who is fastest where, and how near the limit that is."""
    results = Results(read(folder))
    if form in {"png", "svg"}:
        _say(*reports.figures(results, output or _beside(folder) / "figures", [form]))
    elif form == "term":
        console().print(reports.terminal(results))
    elif output is None:
        typer.echo(_TEXTS[form](results), nl=False)
    else:
        output.write_text(_TEXTS[form](results), encoding="utf-8")
        _say(output)


def _beside(folder: Path) -> Path:
    return folder if folder.is_dir() else folder.parent


def _say(*files: Path) -> None:
    for file in files:
        typer.echo(f"wrote {file}", err=True)


# -- compare -----

SLOWER = 1  # the exit code
HEAD = ("cell", "contestant", "before, µs", "after, µs", "times", "95 % interval", "verdict")


@app.command(epilog="Example: chainrule bench compare products-numpy numpy --in results")
def compare(
    before: Annotated[str, argument("bench compare.before")],
    after: Annotated[str, argument("bench compare.after")],
    inside: Annotated[Path | None, option("bench compare.in")] = None,
    force: Annotated[bool, option("bench compare.force")] = False,
    fail: Annotated[bool, option("bench compare.fail")] = False,
    as_json: AsJson = False,
) -> None:
    """Say, cell by cell, what is faster or slower after than before, or undecided."""
    if inside is not None:
        result = comparison.compare_contestants(read(inside), before, after)
    else:
        result = comparison.compare(read(Path(before)), read(Path(after)), force=force)
    rows = [
        (
            *(row.place.cell.name, row.place.contestant),
            *(microseconds(row.before), microseconds(row.after)),
            *(*_texts(row.ratio), row.verdict),
        )
        for row in result.rows
    ]
    means = [
        (f"mean of {mean.cells}", mean.contestant, NONE, NONE, *_texts(mean.ratio), mean.verdict)
        for mean in result.means
    ]
    if as_json:
        typer.echo(json.dumps({"rows": rows, "means": means, "notes": list(result.notes)}))
    else:
        title = f"{after} compared with {before}, a step; means are geometric"
        console().print(Table(title, HEAD, [*rows, *means], list(result.notes), texts=2).rich())
    if fail and result.slower:
        raise typer.Exit(SLOWER)


def _texts(ratio: Interval) -> tuple[str, str]:
    ends = f"{ratio.low:.3f} to {ratio.high:.3f}" if ratio.is_bounded else "too few rounds"
    return f"{ratio.estimate:.3f}", ends


# -- recommend -----


@app.command(epilog="Example: chainrule bench recommend --layers 784,256,10 --batch 128")
def recommend(
    layers: Annotated[str, option("bench recommend.layers")],
    batch: Annotated[int, option("bench recommend.batch")],
    rule: Annotated[str, option("bench recommend.rule")] = "",
    dtype: Annotated[str, option("bench recommend.dtype")] = "float32",
    backend: Backends = None,
    again: Annotated[bool, option("bench recommend.again")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which backend is fastest for a network on this machine, and how sure that is.

    The stored measurements answer if they can; else it is measured, in about 20 s.
    """
    chosen = None if backend is None else listed("backend", backend, roster.of(roster.BACKEND))
    cell = _cell(layers, batch, rule, dtype)
    try:
        answer = recommendation.recommend(cell, campaign.measure, contestants=chosen, again=again)
    except RuntimeError as error:
        fail(str(error))
    if as_json:
        rows = [dict(zip(recommendation.HEAD, row, strict=True)) for row in answer.rows]
        facts = {"sentence": answer.choice.sentence, "backend": answer.choice.backend, "rows": rows}
        typer.echo(json.dumps(facts | {"measured": answer.was_measured, "notes": list(answer.notes)}))
        return
    screen = console()
    screen.print(answer.choice.sentence, style="bold", markup=False)
    screen.print(Table("", recommendation.HEAD, answer.rows, list(answer.notes)).rich())


def _cell(layers: str, batch: int, rule: str, dtype: str) -> Cell:
    """Return the cell that the options describe."""
    sizes = words(layers)
    # Of two hidden layers or more there is only the one kind.
    chosen_rule = rule or ("sgd" if len(sizes) == 3 else "adam")
    listed("rule", chosen_rule, list(RULES))
    listed("dtype", dtype, list(DTYPES))
    return parse(f"{'-'.join(sizes)},{batch},{chosen_rule},{dtype}")


# -- scale -----


@app.command(epilog="Example: chainrule bench scale --layers 64,16,10 --batch 64")
def scale(
    layers: Annotated[str, option("bench scale.layers")] = "784,256,10",
    batch: Annotated[int, option("bench scale.batch")] = 4096,
    rule: Annotated[str, option("bench recommend.rule")] = "",
    dtype: Annotated[str, option("bench recommend.dtype")] = "float32",
    ranks: Annotated[str | None, option("bench scale.ranks")] = None,
    threads: Annotated[int | None, option("bench scale.threads")] = None,
    simulate: Annotated[str | None, option("bench scale.simulate")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure what several processes bring for one network, beside what a model makes of it.

    Start it as: mpiexec -n 2 chainrule bench scale --ranks mpi.
    """
    asked = None if simulate is None else Simulation.parsed(simulate)
    group = join(ranks or "alone")
    measured = speedup.measure(_cell(layers, batch, rule, dtype), group, threads)
    if group.rank > 0:
        return
    name, count = measured.cell.name, f"{group.size} rank{'s' * (group.size > 1)} ({group.name})"
    rows: list[Sequence[str]] = [*measured.table()]
    tables = [Table(f"{name}: a step on {count}", speedup.HEAD, rows)]
    if measured.sums:
        rows = [(f"{n}", f"{1e6 * s:.3g}") for n, s in measured.sums.items()]
        fitted = f"a link of {1e6 * measured.link.latency:.2g} µs and {measured.link.bandwidth / 1e9:.2g} GB/s"
        head, notes = (
            ("bytes", "µs"),
            [f"{fitted}; a step of this network adds up {measured.nbytes} bytes"],
        )
        tables.append(Table("a sum over the ranks", head, rows, notes))
    if asked is not None:
        notes = ["by the model: the line of one rank's steps, and the sum over that link"]
        rows = [*speedup.simulated(measured, asked)]
        tables.append(Table(f"simulated: {simulate}", speedup.SIMULATED_HEAD, rows, notes))
    if as_json:
        typer.echo(json.dumps({table.title: [table.head, *table.rows] for table in tables}))
        return
    for table in tables:
        console().print(table.rich())


# -- env -----


@app.command(epilog="Example: chainrule bench env --json")
def env(as_json: AsJson = False) -> None:
    """Say what this machine is, and who can take part here."""
    here = environment()
    missing = {
        entry: _missing(entry, has_gpu=here["gpu"] is not None) for entry in roster.ROSTER.values()
    }
    if as_json:
        who = [
            {"name": one.name, "group": one.group, "missing": lacks, "says": one.description}
            for one, lacks in missing.items()
        ]
        typer.echo(json.dumps({**here, "contestants": who}))
        return
    rows = [
        (one.name, one.group, f"needs {', '.join(lacks)}" if lacks else one.description)
        for one, lacks in missing.items()
    ]
    screen = console()
    screen.print(facts_table(dict(facts(here))))
    head = ["name", "is", "description, or what it needs installed"]
    screen.print(Table("contestants", head, [*rows], texts=3).rich())


def _missing(entry: roster.Entry, *, has_gpu: bool) -> list[str]:
    return entry.missing() + (["a CUDA device"] if entry.device == "cuda" and not has_gpu else [])
