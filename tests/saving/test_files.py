"""Files are written whole, with a temporary name of their own, and replace nothing that is no file."""

import os
import random
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chainrule.saving.files import check_writable, write_whole

KILLS = 50 if os.environ.get("SOAK") else 3
SAVER = Path(__file__).parents[1] / "support" / "save_again_and_again.py"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    return path


def test_a_file_is_replaced_whole_and_a_link_to_it_stays_a_link(file):
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(file.parent.iterdir()) == [file]
    link = file.with_name("newest")
    link.symlink_to(file)
    write_whole(link, b"newer")
    assert link.is_symlink()
    assert file.read_bytes() == b"newer"


def test_a_failed_write_leaves_the_old_file_as_it_was(file, monkeypatch):
    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(file.parent.iterdir()) == [file]


def test_the_rights_of_the_old_file_are_kept_and_a_new_one_has_those_of_any_new_file(file):
    for mode in (0o600, 0o640, 0o666):
        file.chmod(mode)
        write_whole(file, b"new")
        assert stat.S_IMODE(file.stat().st_mode) == mode
    plain, new = file.with_name("plain"), file.with_name("new")
    plain.touch()
    write_whole(new, b"")
    assert new.stat().st_mode == plain.stat().st_mode


def test_threads_that_save_to_one_path_leave_a_whole_file_at_any_time(file):
    contents = [bytes([letter]) * 500_000 for letter in b"abcd"]
    write_whole(file, contents[0])
    threads = [
        threading.Thread(target=lambda c=content: [write_whole(file, c) for _ in range(20)])
        for content in contents
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert file.read_bytes() in contents
    assert list(file.parent.iterdir()) == [file]


def test_a_link_planted_at_a_temporary_name_is_not_followed(file, monkeypatch):
    victim = file.with_name("victim")
    victim.write_bytes(b"precious")
    names = iter([b"\0\0\0\0", b"\0\0\0\1"])
    monkeypatch.setattr("os.urandom", lambda _: next(names))
    file.with_name(".chainrule-00000000.part").symlink_to(victim)
    write_whole(file, b"new")
    assert (file.read_bytes(), victim.read_bytes()) == (b"new", b"precious")


def test_what_a_killed_process_leaves_is_removed_by_the_next_save_and_the_file_is_whole(file):
    write_whole(file, b"a" * 3_000_000)
    rng = random.Random(0)  # noqa: S311  no secret
    for _ in range(KILLS):
        saver = subprocess.Popen([sys.executable, SAVER, file], stdout=subprocess.PIPE)
        saver.stdout.readline()
        time.sleep(rng.uniform(0, 0.03))
        saver.kill()
        saver.communicate()
        content = file.read_bytes()
        assert content in {b"a" * 3_000_000, b"b" * 3_000_000}
    stranger = file.with_name(".chainrule.part")  # not one of ours
    stranger.touch()
    write_whole(file, b"new")
    assert sorted(file.parent.iterdir()) == [stranger, file]


def test_the_temporary_file_of_a_save_under_way_is_left_alone(file, monkeypatch):
    sync = os.fsync

    def save_another(descriptor):
        monkeypatch.setattr("os.fsync", sync)
        write_whole(file.with_name("other"), b"other")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", save_another)
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"


def test_devices_pipes_and_streams_are_refused(file):
    pipe, link = file.with_name("pipe"), file.with_name("link")
    os.mkfifo(pipe)
    link.symlink_to("/dev/null")
    with file.open("rb") as opened:
        streams = [f"/dev/fd/{opened.fileno()}", f"/proc/self/fd/{opened.fileno()}", "/dev/null"]
        for place in (pipe, link, *streams):
            with pytest.raises(OSError, match="a device, a pipe or a stream"):
                write_whole(place, b"new")
    assert file.read_bytes() == b"old"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_place_where_nothing_can_be_written_is_named(file):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        check_writable(file.parent / "nowhere" / "m.safetensors")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        check_writable(file.parent)


def test_a_file_that_is_read_is_not_to_be_overwritten(file):
    link = file.with_name("link")
    link.symlink_to(file)
    for output, given in [(file, file), (link, file), (file, link)]:
        with pytest.raises(FileExistsError, match="would be overwritten"):
            check_writable(output, (given,))
    check_writable(file, (file.with_name("other"),))
