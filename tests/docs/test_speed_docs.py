"""The figures in the documentation agree with the stored samples of the benchmark."""

from pathlib import Path

import pytest
from benchmarks.documents import update

from chainrule.bench.judge.results import Results
from chainrule.bench.store import read

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "benchmarks" / "results" / "epyc-2-cores.jsonl.gz"
PICTURE = "benchmarks/results/figures/crossover-digits.svg"


@pytest.fixture(scope="module")
def results():
    return Results(read(SAMPLES))


@pytest.mark.parametrize(
    ("document", "picture"), [("README.md", PICTURE), ("docs/speed.md", f"../{PICTURE}")]
)
def test_a_document_holds_what_the_samples_say(results, document, picture):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert update(text, results, picture) == text
