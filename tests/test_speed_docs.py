"""The figures in the documentation are those of the samples that are kept beside the benchmarks."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "benchmarks" / "results" / "steps-xeon-2-cores.jsonl.gz"


def reported():
    command = [sys.executable, "benchmarks/steps.py", "--report", str(SAMPLES), "--markdown"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def rows(markdown):
    """Return the rows of the first table, as lists of cells."""
    lines = markdown[markdown.index("\n|") :].strip().splitlines()
    table = [line for line in lines[: lines.index("")] if line.startswith("|")] if "" in lines else lines
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_page_on_speed_holds_what_the_samples_say():
    assert reported() in (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")


def test_the_readme_table_holds_what_the_samples_say():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = rows(readme[readme.index("<!-- speed -->") : readme.index("<!-- /speed -->")].rstrip())
    measured = {row[0]: row for row in rows(reported())}
    assert len(shown) >= 5
    for name, *figures in shown:
        _, _, *others = measured[name]  # but for the floor
        assert figures == others
