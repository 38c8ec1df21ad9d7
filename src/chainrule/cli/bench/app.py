"""The commands of `chainrule bench` together."""

import typer

from chainrule.cli.bench.compare import compare
from chainrule.cli.bench.env import env
from chainrule.cli.bench.recommend import recommend
from chainrule.cli.bench.report import report
from chainrule.cli.bench.run import run

app = typer.Typer(
    help="Measure where a network runs fastest here, and how near the limit it is.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: chainrule bench env",
)
app.command(epilog="Example: chainrule bench run --quick --cell 64-256-10,64 -o results")(run)
app.command(epilog="Example: chainrule bench report results --format html -o report.html")(report)
app.command(epilog="Example: chainrule bench compare products-numpy numpy --in results")(compare)
app.command(epilog="Example: chainrule bench recommend --layers 784,256,10 --batch 128")(recommend)
app.command(epilog="Example: chainrule bench env --json")(env)
