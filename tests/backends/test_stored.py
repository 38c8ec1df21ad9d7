"""The map on disk: what is read back, when it is stale, and how maps are joined."""

import json
import re

import pytest

from chainrule.backends.speed_map import stored
from chainrule.backends.speed_map.spots import SpeedMap, Workload
from chainrule.backends.speed_map.stored import StaleMapError, key, read, write
from support.maps import NUMPY, TORCH, a_map, a_spot


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE_DIR", str(tmp_path / "cache"))


def test_a_map_is_read_back_as_it_was_written():
    kept = a_map()
    write(kept)
    assert read() == kept


def test_a_damaged_file_is_as_nothing_stored():
    assert read() == SpeedMap()  # nothing is stored yet
    stored.file().parent.mkdir()
    for content in ("", "{", "[]", '{"key": {}}', '{"schema": 3, "key": {}, "spots": [1]}'):
        stored.file().write_text(content)
        assert read() == SpeedMap()


STALE = {
    "processor": "Another Processor",
    "cores": "4096",
    "numpy": "1.0.0",
    "threads": "77",
    "chainrule-of-old": "99",  # a package that is gone
}


def test_a_map_of_another_machine_or_version_is_stale_and_says_why():
    for fact, was in STALE.items():
        file = write(a_map())
        held = json.loads(file.read_text())
        held["key"][fact] = was
        file.write_text(json.dumps(held))
        here = key().get(fact, "none")
        with pytest.raises(StaleMapError, match=re.escape(f"with {fact} {was}, but here it is {here}")):
            read()


def test_new_spots_take_the_place_of_old_ones_and_leave_the_others():
    known = a_map({"numpy": NUMPY, "torch": TORCH})
    work = Workload((64, 256, 10), 16)
    faster = a_spot(work, {"numpy": [x / 2 for x in NUMPY]})
    joined = known.with_spots([faster])
    assert len(joined.spots) == len(known.spots)
    (spot,) = [one for one in joined.spots if one.workload == work]
    assert spot.times["numpy"] == faster.times["numpy"]
    assert set(spot.times) == {"numpy", "torch"}
    assert not spot.ratios  # the pair was of the old one
