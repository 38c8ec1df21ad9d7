"""`chainrule train`: a table in, a model out."""

import json
import time
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Annotated, Any, Literal

import typer

from chainrule import NeuralNetwork, backends
from chainrule.cli import options, pictures
from chainrule.cli.options import argument, dialect, option, table_path
from chainrule.cli.rows import in_memory, read_in_windows, score
from chainrule.cli.show import percent, printable
from chainrule.data.facts import TABLE
from chainrule.data.samples import ColumnChoice, Task, features_and_target, uses_of
from chainrule.data.streams import Stream
from chainrule.data.tables import Table, read_table
from chainrule.mathematics.activations import ACTIVATIONS
from chainrule.mathematics.architecture import DROPOUT, architecture
from chainrule.mathematics.checks import BELOW_ONE, FINITE, check_number
from chainrule.mathematics.naming import quoted, require
from chainrule.mathematics.optimizers import optimizer as named_optimizer
from chainrule.mathematics.schedules import cosine
from chainrule.ranks import join
from chainrule.ranks.group import Group
from chainrule.saving.files import check_folder, check_writable
from chainrule.saving.models import check_name
from chainrule.training.history import History
from chainrule.training.interrupts import Interrupts

Dtype = Literal["float32", "float64", "float16", "bfloat16"]

_ACTIVATIONS = f"{', '.join(ACTIVATIONS)}."
_TERMINATED = 128 + SIGTERM  # exit code, as in shells, of a program that SIGTERM ended
_TRY_AGAIN = 75  # EX_TEMPFAIL: batch queues run the job again
_WHOLE = "--missing, --dry-run and --plots look at the whole table; leave them out with --stream, a folder or .npy"
_NUMBERS = "--dropout", "--weight-decay", "--learning-rate", "--held-out"
_WATCHED = 0.1  # share of the training rows that --early-stopping watches


def train(
    data: Annotated[str, argument("train.data")],
    target: Annotated[str, option("train.target")],
    output: Annotated[Path | None, option("train.output")] = None,
    task: Annotated[Task | None, option("train.task")] = None,
    hidden: Annotated[list[str] | None, option("train.hidden")] = None,
    activation: Annotated[str, option("train.activation", ACTIVATIONS, help=_ACTIVATIONS)] = "relu",
    epochs: Annotated[int, option("train.epochs")] = 20,
    batch_size: Annotated[int, option("train.batch_size")] = 128,
    learning_rate: Annotated[float, option("train.learning_rate")] = 0.01,
    optimizer: options.OptimizerName = "adam",
    dropout: Annotated[float, option("train.dropout")] = 0.2,
    weight_decay: Annotated[float, option("train.weight_decay")] = 0.001,
    early_stopping: Annotated[int | None, option("train.early_stopping")] = None,
    held_out: Annotated[float, option("train.held_out")] = 0.2,
    backend: options.BackendName = None,
    dtype: Annotated[Dtype, option("train.dtype")] = "float32",
    seed: Annotated[int, option("train.seed")] = 0,
    drop: Annotated[list[str] | None, option("train.drop")] = None,
    features: Annotated[list[str] | None, option("train.features")] = None,
    missing: Annotated[str | None, option("train.missing")] = None,
    encoding: options.Encoding = "utf-8",
    separator: options.Separator = ",",
    in_windows: Annotated[bool, option("train.stream")] = False,
    dry_run: Annotated[bool, option("train.dry_run")] = False,
    plots: Annotated[Path | None, option("train.plots")] = None,
    checkpoint: Annotated[Path | None, option("train.checkpoint")] = None,
    checkpoint_seconds: Annotated[float, option("train.checkpoint_seconds")] = 60.0,
    resume: Annotated[bool, option("train.resume")] = False,
    deadline: Annotated[str | None, option("train.deadline")] = None,
    ranks: Annotated[str | None, option("train.ranks")] = None,
    as_json: options.AsJson = False,
) -> None:
    """Train a network on a table, and write a model file that predicts for other tables."""
    group = join(ranks)  # first: from now on, an error on one rank ends all
    path = table_path(data)
    _check_output(output, path, dry_run=dry_run)
    pictures.check_plots(plots)
    # Check every option before reading the table, which may take long.
    ends = _end(checkpoint, deadline, resume=resume)
    written_as = dialect(encoding, separator, () if task == "regression" else (target,))
    widths = options.sizes(hidden or ["128"])
    architecture((1, widths, 2), activation, None, "cross_entropy")
    named_optimizer(optimizer)
    backends.get(backend)
    numbers = (dropout, DROPOUT), (weight_decay, FINITE), (learning_rate, FINITE), (held_out, BELOW_ONE)
    for name, (number, limits) in zip(_NUMBERS, numbers, strict=True):
        check_number(name, number, limits)
    if in_windows or path.is_dir() or path.suffix == ".npy":
        if missing is not None or output is None or dry_run or plots is not None:
            raise ValueError(_WHOLE)
        left_out = options.names(drop, ()) or ()
        stream = Stream(path, target, features=options.names(features, ()), drop=left_out)
        rows = read_in_windows(stream, task, held_out, seed, group)
    else:
        table = read_table(path, written_as)
        words = None if missing is None else missing.split(",")
        choice = ColumnChoice(options.names(drop, table) or (), options.names(features, table), words)
        if dry_run or output is None:
            _show_uses(table, target, task, choice)
            return
        samples = features_and_target(table, target, task, choice)
        rows = in_memory(samples, target, held_out, seed)
    facts = rows.facts
    _check_watched(early_stopping, rows.trained)
    network = NeuralNetwork(
        len(facts.features),
        widths,
        len(facts.labels) or 1,
        activation=activation,
        loss="cross_entropy" if facts.labels else "mean_squared_error",
        initializer="glorot_uniform",
        dropout=dropout,
        weight_decay=weight_decay,
        backend=backend,
        dtype=dtype,
        seed=seed,
    )
    writing = printable(str(output if checkpoint is None else f"a checkpoint to {checkpoint}"))
    answer = f"stopping after this step, then writing {writing}; a third Ctrl-C does not wait for it"
    left = ends and ends - time.monotonic()
    with Interrupts(SIGINT, SIGTERM, at_once=3, answer=answer, deadline=left) as interrupts:
        history = network.train(
            *rows.training,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=cosine(learning_rate),
            optimizer=optimizer,
            early_stopping=early_stopping,
            validation_data=rows.watched if rows.held_out and early_stopping is None else None,
            validation_fraction=None if early_stopping is None else _WATCHED,
            progress=True,  # on standard error
            checkpoint=checkpoint,
            checkpoint_seconds=checkpoint_seconds,
            resume=resume,
            ranks=group,
        )
        if checkpoint is not None and history.interrupted and set(interrupts.received) - {SIGINT}:
            raise _to_be_resumed(history, epochs, group)
        scores = score(rows, network)
        if group.rank > 0:  # rank 0 writes and prints
            return
        network.metadata |= {TABLE: facts.to_dict(), "held_out": scores}
        network.save(output)
    outcome = {
        "task": facts.task,
        "features": len(facts.features),
        "classes": len(facts.labels) or None,
        "held_out": network.metadata["held_out"],
        "epochs": len(history),
        "seconds": history.record(-1).seconds if len(history) else 0.0,
        "interrupted": history.interrupted,
        "backend": network.backend.describe(),
        "dtype": network.architecture.compute or network.dtype,
        "rows": {"trained": rows.trained, "held_out": rows.held_out, "left_out": rows.left_out},
        "notes": [f"{use.role} {quoted(use.name)}: {use.reason}" for use in rows.uses if use.doubtful],
        "model": str(output),
    }
    if plots is not None:
        outcome["plots"] = pictures.write(
            plots, network, history, rows, samples, batch_size, optimizer, seed
        )
    if as_json:
        # Without --json, the notes of the history are on standard error already, below the progress.
        outcome["notes"] += history.notes
    typer.echo(json.dumps(outcome) if as_json else _summary(outcome))
    if SIGTERM in interrupts.received:
        raise typer.Exit(_TERMINATED)


def _check_output(output: Path | None, table: Path, *, dry_run: bool) -> None:
    if output is not None:
        check_writable(output, (table,))
        check_name(output)
    problem = "there is no file to write to; give -o FILE for the model, or --dry-run to write none"
    require(dry_run or output is not None, problem)


def _check_watched(early_stopping: int | None, rows: int) -> None:
    problem = f"--early-stopping watches a tenth of the training rows, which are {rows}; give more rows"
    require(early_stopping is None or round(_WATCHED * rows) > 0, problem)


def _end(checkpoint: Path | None, deadline: str | None, *, resume: bool) -> float | None:
    """Return the deadline on the monotonic clock; raise if the folder for checkpoints is wrong or missing."""
    if checkpoint is not None:
        check_folder(checkpoint)
    needing = "--resume" if resume else "--deadline"
    needed = checkpoint is None and (resume or deadline is not None)
    require(not needed, f"{needing} needs a folder of checkpoints; give --checkpoint FOLDER")
    return None if deadline is None else time.monotonic() + options.seconds(deadline)


def _to_be_resumed(history: History, epochs: int, group: Group) -> typer.Exit:
    """Return the exit of a run that was stopped and has a checkpoint: no model is written."""
    line = f"stopped in epoch {len(history) + 1} of {epochs}; the same command with --resume continues"
    if group.rank == 0:
        typer.echo(line, err=True)
    return typer.Exit(_TRY_AGAIN)


def _show_uses(table: Table, target: str, task: str | None, choice: ColumnChoice) -> None:
    """Print the use of each column and the reason, then the task and the number of rows."""
    uses = uses_of(table, target, choice)
    widest = max(len(quoted(use.name)) for use in uses)
    for use in uses:
        typer.echo(printable(f"{quoted(use.name):{widest}}  {use.role:8}  {use.reason}"))
    samples = features_and_target(table, target, task, choice)
    typer.echo(_kind(samples.task, len(samples.features), len(samples.labels), len(samples.y)))


def _kind(task: str, features: int, classes: int | None, rows: int) -> str:
    target = f"classes: {classes}" if classes else "a quantity"
    return f"{task} from {features} features ({target}), {rows} rows"


def _summary(outcome: dict[str, Any]) -> str:
    rows, scores = outcome["rows"], outcome["held_out"]
    lines = [_kind(outcome["task"], outcome["features"], outcome["classes"], rows["trained"])]
    lines += map(printable, outcome["notes"])
    if rows["left_out"]:
        lines.append(f"left out {rows['left_out']} rows without a value")
    if outcome["interrupted"]:
        lines.append(f"interrupted; what {outcome['epochs']} epochs taught is kept")
    if "accuracy" in scores:
        baseline = f"always the commonest class: {percent(scores['commonest_class'])}"
        accuracy = f"held-out accuracy: {percent(scores['accuracy'])} of {rows['held_out']} rows"
        lines.append(f"{accuracy} ({baseline})")
    elif "rmse" in scores:
        r2 = "none (the target is constant)" if scores["r2"] is None else f"{scores['r2']:.4f}"
        lines.append(f"held-out R2: {r2}, RMSE: {scores['rmse']:.6g}, over {rows['held_out']} rows")
    where = f"{outcome['seconds']:.1f} s on {outcome['backend']}, {outcome['dtype']}"
    lines.append(f"saved {outcome['model']} ({outcome['epochs']} epochs, {where})")
    lines += [f"wrote {picture}" for picture in outcome.get("plots", ())]
    return "\n".join(lines)
