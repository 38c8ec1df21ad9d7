"""Calibration: a contestant beside itself, and what is kept of it."""

import pytest

from chainrule.bench.judge.gate import calibration as room
from chainrule.bench.judge.gate.calibration import Calibration, calibrate, keep, kept

CALM = Calibration(
    room.machine(), "numpy", {"2-4-1,4": (1.01, 0.98, 1.04), "4-8-2,4": (0.99, 0.97, 1.02)}
)


def test_the_band_is_three_spreads_and_never_less_than_a_quarter():
    assert CALM.spread == pytest.approx(1 / 0.99 - 1)
    assert CALM.band == 0.25
    restless = Calibration("m", "numpy", {"2-4-1,4": (1.2, 0.8, 1.5)})
    assert restless.band == pytest.approx(0.6)


def test_a_contestant_is_measured_beside_itself():
    found = calibrate(cells=["2-4-1,4"], sets=1)
    (ratio,) = found.ratios.values()
    estimate, low, high = ratio
    assert low <= estimate <= high
    assert 0.2 < estimate < 5  # a busy machine's blocks differ, but not without bounds
    assert found.machine == room.machine()


def test_what_cannot_run_is_told(monkeypatch):
    reason = "cupy is not installed"
    monkeypatch.setattr(room.ratios, "measured", lambda pairs, _: dict.fromkeys(pairs, reason))
    with pytest.raises(
        RuntimeError, match=r"nothing was calibrated: cupy in 2-4-1,4: cupy is not installed"
    ):
        calibrate("cupy", cells=["2-4-1,4"], sets=1)


def test_a_contestant_of_ones_own_has_no_other_name():
    with pytest.raises(ValueError, match=r"'mine:fast' has one name only; calibrate with one of"):
        calibrate("mine:fast")


def test_it_is_kept_for_this_machine_and_no_other(tmp_path):
    file = tmp_path / "cache" / "calibration.json"
    assert kept(file) is None
    assert keep(CALM, file) == file
    assert kept(file) == CALM
    keep(Calibration("another machine", "numpy", CALM.ratios), file)
    assert kept(file) is None
    file.write_text("{")
    assert kept(file) is None
