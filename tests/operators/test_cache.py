"""The disk cache: whole or absent, never wrong."""

from __future__ import annotations

import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from stabtest.operators import Radon, cache
from stabtest.operators.strip import ParallelGeometry, system_matrix

GEOMETRY = ParallelGeometry(9, 8, (0.0, 33.0, 90.0), 13)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("STABTEST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Builder:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return system_matrix(GEOMETRY)


def equal(a, b):
    return np.array_equal(a.toarray(), b.toarray()) and a.data.dtype == b.data.dtype and a.indices.dtype == b.indices.dtype


def test_second_reading_does_not_build(folder):
    build = Builder()
    first, second = cache.cached_matrix("a", build), cache.cached_matrix("a", build)
    assert build.calls == 1
    assert equal(first, second)
    assert len(list(folder.iterdir())) == 1


def test_other_key_is_another_matrix(folder):
    build = Builder()
    cache.cached_matrix("a", build)
    cache.cached_matrix("b", build)
    assert build.calls == 2


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "text", "other arrays", "wrong indices"])
def test_damaged_file_is_built_again_and_replaced(folder, damage):
    build = Builder()
    whole = cache.cached_matrix("a", build)
    (path,) = folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":  # inside the numbers, where only the checksum sees it
        content[content.find(whole.data.tobytes()) + 40] ^= 0xFF
        path.write_bytes(content)
    elif damage == "text":
        path.write_text("not a matrix")
    elif damage == "other arrays":
        with path.open("wb") as file:
            np.savez(file, data=np.ones(3))
    else:
        with path.open("wb") as file:
            np.savez(file, data=whole.data, indices=whole.indices + 10**6, indptr=whole.indptr, shape=np.array(whole.shape))
    assert equal(cache.cached_matrix("a", build), whole)
    assert build.calls == 2
    assert equal(cache.cached_matrix("a", build), whole)
    assert build.calls == 2


def test_folder_that_is_a_file_only_costs_time(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("STABTEST_CACHE", str(tmp_path / "cache"))
    build = Builder()
    assert equal(cache.cached_matrix("a", build), cache.cached_matrix("a", build))
    assert build.calls == 2


def test_disk_that_takes_nothing_leaves_nothing(folder, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    build = Builder()
    cache.cached_matrix("a", build)
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root writes everywhere")
def test_folder_without_permission_only_costs_time(folder):
    folder.mkdir()
    folder.chmod(0o500)
    build = Builder()
    cache.cached_matrix("a", build)
    assert build.calls == 1


def test_folder_stays_within_its_size(folder, monkeypatch):
    build = Builder()
    cache.cached_matrix("a", build)
    (path,) = folder.iterdir()
    monkeypatch.setattr(cache, "SIZE_LIMIT", int(2.5 * path.stat().st_size))
    os.utime(path, (1, 1))
    for key in "bcd":
        cache.cached_matrix(key, build)
    assert len(list(folder.iterdir())) == 2
    assert not path.exists()


def _write_many(folder: str, barrier) -> None:
    os.environ["STABTEST_CACHE"] = folder
    from stabtest.operators import cache as own

    barrier.wait()
    for _ in range(30):
        matrix = own.cached_matrix("shared", lambda: sparse.csr_array(np.full((40, 40), 2.0)))
        assert matrix.sum() == 3200
        for path in own.cache_folder().glob("*.npz"):
            path.unlink(missing_ok=True)  # so that both keep writing


def test_two_writers_do_no_harm(folder):
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    barrier = context.Barrier(2)
    workers = [context.Process(target=_write_many, args=(str(folder), barrier)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert not list(folder.glob("*.tmp"))


def test_operator_reads_what_another_wrote(folder, monkeypatch):
    from stabtest.operators import projector, radon

    monkeypatch.setattr(projector, "CACHE_FROM", 0)
    x = Radon(12, 6).domain.zeros(1) + 1
    first = Radon(12, 6)(x)
    monkeypatch.setattr(radon, "system_matrix", lambda geometry: pytest.fail("built although stored"))
    assert bool((Radon(12, 6)(x) == first).all())


def test_folder_follows_the_platform(monkeypatch):
    monkeypatch.delenv("STABTEST_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.cache_folder() == Path("/somewhere/stabtest")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/her")
    assert cache.cache_folder() == Path("/home/her/.cache/stabtest")
