"""The page of pictures: its code runs as it stands and draws every figure that it shows."""

import importlib.util
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "pictures.md"
SHOWN = set(re.findall(r"\]\((figures/[^)]+)\)", PAGE.read_text(encoding="utf-8")))


def test_the_page_draws_every_figure_that_it_shows(tmp_path):
    spec = importlib.util.spec_from_file_location("draw_figures", DOCS / "draw_figures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    before = Path.cwd()
    script.draw(PAGE, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/*")} == SHOWN
    assert Path.cwd() == before


def test_the_figures_are_there_and_small():
    sizes = {name: (DOCS / name).stat().st_size for name in SHOWN}
    assert len(sizes) == 6
    assert max(sizes.values()) <= 60_000
