"""`chainrule bench recommend`: which backend for one network, in a sentence."""

import json
from typing import Annotated

import typer

from chainrule.bench import roster
from chainrule.bench.cells import DTYPES, RULES, parse
from chainrule.bench.judge.recommendation import HEAD
from chainrule.bench.judge.recommendation import recommend as recommended
from chainrule.bench.measure.campaign import measure
from chainrule.bench.report.word_table import Table
from chainrule.cli.bench import options
from chainrule.cli.errors import fail
from chainrule.cli.options import AsJson, option
from chainrule.cli.show import console


def recommend(
    layers: Annotated[str, option("bench recommend.layers")],
    batch: Annotated[int, option("bench recommend.batch")],
    rule: Annotated[str, option("bench recommend.rule")] = "",
    dtype: Annotated[str, option("bench recommend.dtype")] = "float32",
    backend: options.Contestants = None,
    again: Annotated[bool, option("bench recommend.again")] = False,
    as_json: AsJson = False,
) -> None:
    """Say which backend is fastest for a network on this machine, and how sure that is.

    The stored measurements answer if they can; else it is measured, in about 20 s.
    """
    chosen = None if backend is None else options.listed("backend", backend, roster.of(roster.BACKEND))
    sizes = options.words(layers)
    # Of two hidden layers or more there is only the one kind.
    chosen_rule = rule or ("sgd" if len(sizes) == 3 else "adam")
    options.listed("rule", chosen_rule, list(RULES))
    options.listed("dtype", dtype, list(DTYPES))
    cell = parse(f"{'-'.join(sizes)},{batch},{chosen_rule},{dtype}")
    try:
        answer = recommended(cell, measure, contestants=chosen, again=again)
    except RuntimeError as error:
        fail(str(error))
    if as_json:
        rows = [dict(zip(HEAD, row, strict=True)) for row in answer.rows]
        facts = {"sentence": answer.choice.sentence, "backend": answer.choice.backend, "rows": rows}
        typer.echo(json.dumps(facts | {"measured": answer.was_measured, "notes": list(answer.notes)}))
        return
    screen = console()
    screen.print(answer.choice.sentence, style="bold", markup=False)
    screen.print(Table("", HEAD, answer.rows, list(answer.notes)).rich())
