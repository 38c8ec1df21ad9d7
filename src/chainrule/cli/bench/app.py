"""The commands of `chainrule bench` together."""

import typer

from chainrule.cli.bench.env import env
from chainrule.cli.bench.gate import calibrate, gate
from chainrule.cli.bench.report import report
from chainrule.cli.bench.run import run
from chainrule.cli.errors import OneLineGroup

app = typer.Typer(
    cls=OneLineGroup,
    help="Measure where a network runs fastest here, and how near the limit it is.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(report)
app.command()(gate)
app.command()(calibrate)
app.command()(env)
