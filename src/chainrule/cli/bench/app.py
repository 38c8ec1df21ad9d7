"""The commands of `chainrule bench` together."""

import typer

from chainrule.cli.bench.compare import compare
from chainrule.cli.bench.env import env
from chainrule.cli.bench.recommend import recommend
from chainrule.cli.bench.report import report
from chainrule.cli.bench.run import run
from chainrule.cli.help import Command, Group

app = typer.Typer(
    cls=Group,
    help="Measure where a network runs fastest here, and how near the limit it is.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="chainrule bench env",
)
# Each epilog is the example that the command's help ends with.
app.command(cls=Command, epilog="chainrule bench run --quick --cell 64-256-10,64 -o results")(run)
app.command(cls=Command, epilog="chainrule bench report results --format html -o report.html")(report)
app.command(cls=Command, epilog="chainrule bench compare products-numpy numpy --in results")(compare)
app.command(cls=Command, epilog="chainrule bench recommend --layers 784,256,10 --batch 128")(recommend)
app.command(cls=Command, epilog="chainrule bench env --json")(env)
