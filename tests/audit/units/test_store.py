import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from stabtest.audit.units.store import Result, Store, _host, write_atomically
from stabtest.errors import AuditError
from stabtest.findings.records import Bracket, Picture, QualityRow

ROWS = (
    QualityRow(case="a", method="net", nrmse=0.25, psnr=float("inf"), ssim=None),
    Bracket(name="net", case=None, lower=1.0, lower_source="x", upper=None, upper_status="unknown", upper_source="y"),
)


def picture() -> Picture:
    data, low, high = Picture.encode(np.linspace(0, 1, 64).reshape(8, 8))
    return Picture(
        id="p", section="quality", case="a", method="net", role="clean", kind="anatomy", caption="", shape=(8, 8),
        low=low, high=high, window_low=0, window_high=1, data=data,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "units")
    store.put("k1", "unit one", Result(ROWS, (picture(),), {"e": np.arange(6).reshape(2, 3)}, evaluations=7, seconds=1.5))
    return store


def test_what_is_put_is_got(store):
    result = store.get("k1", pictures=True)
    assert result.rows == ROWS
    assert result.pictures == (picture(),)
    assert (result.evaluations, result.seconds) == (7, 1.5)
    assert np.array_equal(store.witnesses("k1")["e"], np.arange(6).reshape(2, 3))


def test_pictures_are_left_out_unless_asked_for(store):
    assert store.get("k1").pictures == ()


def test_a_missing_unit_is_none(store):
    assert store.get("k2") is None


@pytest.mark.parametrize("keep", [0, 1, 100, 0.5, -1])
def test_a_truncated_file_counts_as_absent(store, keep):
    path = store.folder / "k1.json"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)] if isinstance(keep, float) else content[:keep])
    assert store.get("k1") is None


def test_a_changed_number_counts_as_absent(store):
    path = store.folder / "k1.json"
    path.write_text(path.read_text().replace("0.25", "0.15"))
    assert store.get("k1") is None


def test_a_file_of_another_unit_counts_as_absent(store):
    (store.folder / "k2.json").write_bytes((store.folder / "k1.json").read_bytes())
    assert store.get("k2") is None


@pytest.mark.parametrize("content", ["[]", "null", '{"rows": 3}', json.dumps({"checksum": "", "format": 1, "key": "k1"})])
def test_a_foreign_file_counts_as_absent(store, content):
    (store.folder / "k1.json").write_text(content)
    assert store.get("k1") is None


def test_missing_or_damaged_witnesses_count_as_absent(store):
    path = store.folder / "k1.npz"
    path.write_bytes(path.read_bytes()[:-1])
    assert store.get("k1") is None
    path.unlink()
    assert store.get("k1") is None


def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(AuditError, match="No space left"):
        Store(tmp_path).put("k", "unit", Result(ROWS))
    assert list(tmp_path.iterdir()) == []


def test_a_failed_rewrite_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"ab"]
    write_atomically(path, contents[0])
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for content in contents:
                write_atomically(path, content)

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        seen = {path.read_bytes() for _ in range(200)}
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert seen <= set(contents)


def test_a_folder_that_cannot_be_made_is_an_audit_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError, match="results folder"):
        Store(tmp_path / "file" / "units")


def test_old_leftovers_are_swept_and_fresh_ones_kept(store):
    old, fresh = store.folder / ".k.json.1.part", store.folder / ".k.json.2.part"
    for path in (old, fresh):
        path.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    store.sweep()
    assert not old.exists()
    assert fresh.exists()


def test_what_a_killed_process_of_this_machine_was_writing_goes_at_once(store):
    """Control: what a living one writes stays."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    mine = [store.folder / f".k.json.{_host()}.{pid}.0123abcd.part" for pid in (ended.pid, os.getpid())]
    for path in mine:
        path.write_text("half")
    store.sweep()
    assert [path.exists() for path in mine] == [False, True]
