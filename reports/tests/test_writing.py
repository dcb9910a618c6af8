from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from auth_reports import writing

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def test_both_reports_are_written_and_folders_made(sample: ModuleType, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "b" / "run.json", tmp_path / "c" / "run.html"]
    assert writing.write(sample.run(), {"json": paths[0], "html": paths[1]}) == paths
    assert json.loads(paths[0].read_text("utf-8"))["decision"]["word"] == "Failed"
    assert paths[1].read_text("utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["run.html", "run.json"]


def test_nothing_asked_nothing_written(sample: ModuleType, tmp_path: Path) -> None:
    assert writing.write(sample.run(), {"json": None, "html": None}) == []
    assert list(tmp_path.iterdir()) == []


def test_hostile_texts_reach_the_disk(sample: ModuleType, tmp_path: Path) -> None:
    run = sample.run(sample.hostile(), note=" ".join(sample.HOSTILE))
    for path in writing.write(run, {"json": tmp_path / "r.json", "html": tmp_path / "r.html"}):
        assert path.read_bytes()


def test_a_link_stays_a_link_and_a_pipe_is_written_to(sample: ModuleType, tmp_path: Path) -> None:
    run = sample.run()
    link, pipe = tmp_path / "link.md", tmp_path / "pipe"
    link.symlink_to("file.md")
    writing.write(run, {"markdown": link})
    assert link.is_symlink()
    text = (tmp_path / "file.md").read_text("utf-8")
    assert "Authentication" in text
    # A device or a pipe would be gone if a file were moved upon it.
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        writing.write(run, {"markdown": pipe})
        assert os.read(reader, 1 << 20).decode() == text
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_failed_write_leaves_the_old_report(
    sample: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match=r"No space left on device.*run\.json"):
        writing.write(sample.run(), {"json": path})
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]
