"""Draw the figures of pictures.md, by running the code that stands in it, and a part of an explained step."""

import io
import os
import re
from pathlib import Path

from rich.console import Console

from chainrule import NeuralNetwork

DOCS = Path(__file__).parent


def code(page: Path) -> str:
    """Return the Python code of a page, its blocks one after the other."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    return "\n".join(blocks)


def draw(page: Path, folder: Path) -> None:
    """Run the code of ``page`` in ``folder``, where it writes to ``figures/``."""
    (folder / "figures").mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(compile(code(page), page.name, "exec"), {"__name__": "__main__"})  # noqa: S102  ours
    finally:
        os.chdir(before)


def draw_explanation(path: Path) -> None:
    """Draw the backward pass of a layer, as a terminal shows it."""
    net = NeuralNetwork(2, 2, 1, seed=1)
    X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]]
    lines = str(net.explain(X, y, learning_rate=0.5)).splitlines()
    first, last = (
        next(place for place, line in enumerate(lines) if line.startswith(f"backward, layer {layer}"))
        for layer in (2, 1)
    )
    console = Console(record=True, width=80, file=io.StringIO())
    console.print("\n".join(lines[first:last]), markup=False)
    svg = console.export_svg(title="print(net.explain(X, y))", unique_id="explain")
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    draw_explanation(DOCS / "explained-layer.svg")
    draw(DOCS / "pictures.md", DOCS)
