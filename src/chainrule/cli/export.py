"""`chainrule export`: a model in, an ONNX file out."""

from pathlib import Path
from typing import Annotated

import typer

from chainrule import NeuralNetwork
from chainrule.cli.options import Model, option
from chainrule.saving.files import check_writable


def export(model: Model, output: Annotated[Path, option("export.output")]) -> None:
    """Write what a model predicts to an ONNX file, for programs without chainrule.

    The file takes the numbers of a table, with the features in the model's order, and gives what
    chainrule predict writes. It needs the extra onnx.
    """
    check_writable(output, (model,))
    NeuralNetwork.load(model, backend="numpy").to_onnx(output)
    typer.echo(f"wrote {output}")
