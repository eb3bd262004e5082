"""The cache of the data files: fast, never needed, never wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mailwhy import knowledge
from mailwhy.knowledge import files


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data files, old enough for a cache to be kept."""
    home = tmp_path / "knowledge"
    shutil.copytree(knowledge.HOME, home, ignore=shutil.ignore_patterns("*.py", "__pycache__", files.SHIPPED))
    monkeypatch.setattr(files, "SETTLED", -(10**9))
    return home


def cache(home: Path) -> Path:
    return home / "__pycache__" / "knowledge.jsonl"


def some_sign(home: Path) -> Path:
    return sorted(home.glob("signs/*.toml"))[0]


def test_the_cache_says_what_the_files_say(home: Path) -> None:
    first = files.plain(home)
    assert cache(home).is_file()
    assert files.plain(home) == first == files.gathered(home)
    assert [path.name for path in cache(home).parent.iterdir()] == ["knowledge.jsonl"]  # nothing is left aside


def test_it_is_the_cache_that_is_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = files.plain(home)
    monkeypatch.setattr(files, "gathered", None)
    assert files.plain(home) == first


def test_a_changed_file_is_seen_even_if_its_size_and_time_are_the_same(home: Path) -> None:
    files.plain(home)
    path = some_sign(home)
    old, text = path.stat(), path.read_text(encoding="utf-8")
    path.write_text(text.replace("example", "exbmple", 1), encoding="utf-8")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert path.stat().st_size == old.st_size
    assert "exbmple" in files.plain(home)["signs"][path.stem]


def test_a_new_file_and_a_removed_one_are_seen(home: Path) -> None:
    files.plain(home)
    some_sign(home).rename(home / "signs" / "brand-new.toml")
    assert files.plain(home) == files.gathered(home)
    assert "brand-new" in files.plain(home)["signs"]


def test_a_change_of_the_reader_itself_is_seen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.plain(home)
    monkeypatch.setattr(files, "__file__", str(some_sign(home)))
    anew = {**files.gathered(home), "facts": {"read": "anew"}}
    monkeypatch.setattr(files, "gathered", lambda home: anew)
    assert files.plain(home) == anew


def test_files_that_were_just_written_are_not_cached(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SETTLED", 3600 * 10**9)
    assert files.plain(home) == files.gathered(home)
    assert not cache(home).exists()


@pytest.mark.parametrize("damage", ["", "{", "[]", "[]\n", '{"stamp": []}', "\0\xff"])
def test_a_damaged_cache_is_only_a_cache(home: Path, damage: str) -> None:
    first = files.plain(home)
    whole = cache(home).read_bytes()
    cache(home).write_text(damage, encoding="latin-1")
    assert files.plain(home) == first
    assert cache(home).read_bytes() == whole


@pytest.mark.parametrize("lost", [1, 100, 10_000])
def test_a_cache_that_was_cut_off_is_noticed_before_its_lines_are_asked_for(home: Path, lost: int) -> None:
    first = files.plain(home)
    whole = cache(home).read_bytes()
    cache(home).write_bytes(whole[:-lost])
    assert files.plain(home) == first
    assert cache(home).read_bytes() == whole


def test_where_nothing_can_be_written_it_is_read_all_the_same(home: Path) -> None:
    cache(home).parent.write_text("a file, so that no folder can be made")
    assert files.plain(home) == files.gathered(home)


def test_a_wheel_has_one_file_and_needs_no_other(home: Path) -> None:
    first = files.gathered(home)
    shutil.rmtree(home)
    home.mkdir()
    (home / files.SHIPPED).write_text(files.compiled(first), encoding="utf-8")
    assert files.plain(home) == first
    assert not cache(home).exists()


def test_what_is_not_toml_is_named(home: Path) -> None:
    path = some_sign(home)
    path.write_text("means = [", encoding="utf-8")
    with pytest.raises(knowledge.BadDataError, match=path.name):
        files.plain(home)


def test_the_product_reads_what_the_files_say() -> None:
    assert knowledge.load() == knowledge.read(knowledge.HOME)
