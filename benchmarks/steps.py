"""What a training step costs: ours, the bare matrix products, and the peers, each in its own process.

    python benchmarks/steps.py                                  # the whole table: about an hour
    python benchmarks/steps.py --cells 2-4-1,4 --rounds 1       # a look at one cell
    python benchmarks/steps.py --json steps.jsonl               # and keep the samples
    python benchmarks/steps.py --report steps.jsonl --markdown  # print them again
    python benchmarks/steps.py memory                           # memory, not time

All float32, full batch resident. A plain cell I-H-O,B is sigmoid-sigmoid with half the sum of squared
errors and SGD; one with ``,adam`` is relu with softmax cross-entropy and Adam. Every process first takes five
steps that are compared with float64; then it warms up and repeats blocks of steps, and reports the
median. Ours reads the loss of every step on the host, the peers leave it where it is.
"""

import argparse
import gzip
import json
import sys
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from step_contestants import ENTRIES
from step_contestants.cells import CELLS, parse
from step_table import rounds
from step_table.figures import Figures, newest
from step_table.report import report

from chainrule.bench.table import Table


def main() -> None:
    """Run the command line."""
    options = arguments()
    if options.contestant:
        print_record(options)
        return
    records = read(options.report) if options.report else measured(options)
    for table in tables(records, options.mode):
        sys.stdout.write((table.markdown() if options.markdown else str(table)) + "\n\n")


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", nargs="?", choices=("time", "memory"), default="time")
    parser.add_argument("--cells", nargs="+", type=cell_name, metavar="CELL", default=None)
    parser.add_argument("--contestants", nargs="+", choices=list(ENTRIES), metavar="NAME", default=None)
    parser.add_argument("--rounds", type=int, default=None, help="5; 1 for memory")
    parser.add_argument(
        "--seconds", type=float, default=0.7, help="of blocks in a process (%(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="append the samples to it")
    parser.add_argument("--report", type=Path, metavar="FILE", help="print its newest samples")
    parser.add_argument("--markdown", action="store_true")
    # What a process of the table is started with.
    parser.add_argument("--contestant", choices=list(ENTRIES), help=argparse.SUPPRESS)
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def cell_name(text: str) -> str:
    """Return the name of a cell, or raise what argparse shows."""
    try:
        return parse(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(error) from None


def print_record(options: argparse.Namespace) -> None:
    """Be one process of the table: print one line of JSON."""
    from step_table.environment import environment

    if options.mode == "memory":
        from step_table import memory

        record = memory.run(options.contestant, options.cell)
    else:
        from step_contestants import process

        record = process.run(options.contestant, options.cell, options.seconds, options.cache)
    sys.stdout.write(json.dumps(record | {"mode": options.mode, "environment": environment()}) + "\n")


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run the processes and return their records; Ctrl-C ends with those that there are."""
    memory = options.mode == "memory"
    names = options.contestants or (
        ("jit", "plain", "torch-eager", "torch-manual") if memory else ENTRIES
    )
    cells = options.cells or [cell.name for cell in CELLS]
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as cache:
        schedule = rounds.Schedule(
            cells,
            list(names),
            options.rounds or (1 if memory else 5),
            options.seconds,
            Path(cache),
            options.mode,
        )
        with closing(rounds.Progress(schedule)) as progress:
            try:
                for record in rounds.run(schedule, progress):
                    records.append(record)
                    append(options.json, record)
            except KeyboardInterrupt:
                sys.stderr.write("\ninterrupted: what follows is of the rounds so far\n")
    return records


def append(file: Path | None, record: dict[str, Any]) -> None:
    """Write a record as a line of its own."""
    if file is not None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record) + "\n")


def read(file: Path) -> list[dict[str, Any]]:
    """Return the records of a file, gzipped or not."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def tables(records: Iterable[dict[str, Any]], mode: str) -> list[Table]:
    """Return what there is to print of the records of this mode."""
    chosen = [record for record in records if record.get("mode", mode) == mode]
    if mode == "memory":
        from step_table import memory

        return [memory.table(newest(chosen))]
    return report(Figures(chosen))


if __name__ == "__main__":
    main()
