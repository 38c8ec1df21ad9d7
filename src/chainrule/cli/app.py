"""The command line `chainrule` with all its commands."""

from typing import Annotated

import typer

from chainrule._version import __version__
from chainrule.cli.bench import app as bench
from chainrule.cli.demo import demo
from chainrule.cli.errors import OneLineGroup
from chainrule.cli.info import info
from chainrule.cli.model import explain, export, predict
from chainrule.cli.options import TrainCommand
from chainrule.cli.train import train

app = typer.Typer(
    cls=OneLineGroup,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: chainrule train digits --target digit -o digits.safetensors",
)


@app.callback(invoke_without_command=True)
def chainrule(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Dense neural networks, written once for every array library.

    chainrule COMMAND --help shows an example of each command.
    """
    if version:
        typer.echo(f"chainrule {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(epilog="Example: chainrule demo")(demo)
app.command(
    cls=TrainCommand, epilog="Example: chainrule train digits --target digit -o digits.safetensors"
)(train)
app.command(epilog="Example: chainrule predict digits.safetensors digits -o predictions.csv")(predict)
app.command(epilog="Example: chainrule export digits.safetensors -o digits.onnx")(export)
app.command(epilog="Example: chainrule explain digits.safetensors digits --rows 128")(explain)
app.command(epilog="Example: chainrule info --json")(info)
app.add_typer(bench, name="bench")


def main() -> None:
    """Run the command line."""
    app()
