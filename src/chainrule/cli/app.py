"""The commands together: what `chainrule` runs."""

from typing import Annotated

import typer

from chainrule._version import __version__
from chainrule.cli.demo import demo
from chainrule.cli.errors import OneLineGroup
from chainrule.cli.explain import explain
from chainrule.cli.info import info
from chainrule.cli.options import TrainCommand
from chainrule.cli.predict import predict
from chainrule.cli.train import train

app = typer.Typer(
    cls=OneLineGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def chainrule(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Dense neural networks, written once for every array library."""
    if version:
        typer.echo(f"chainrule {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command()(demo)
app.command(cls=TrainCommand)(train)
app.command()(predict)
app.command()(explain)
app.command()(info)


def main() -> None:
    """Run the command line."""
    app(prog_name="chainrule")
