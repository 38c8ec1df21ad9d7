"""Draw the figures of pictures.md, by running the code that stands in it."""

import os
import re
from pathlib import Path

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


if __name__ == "__main__":
    draw(DOCS / "pictures.md", DOCS)
