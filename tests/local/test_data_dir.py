"""The data directory."""

import stat
from pathlib import Path

import pytest

from local.data_dir import DataDir, DataDirInUse, write_private


def test_a_folder_in_use_is_refused_with_who_uses_it(tmp_path: Path) -> None:
    first, second = DataDir(tmp_path / "data"), DataDir(tmp_path / "data")
    first.open()

    with pytest.raises(DataDirInUse, match=r"data is in use by another `parley up` \(pid \d+\)"):
        second.open()
    with pytest.raises(DataDirInUse):
        second.delete()
    first.close()


def test_a_folder_is_free_again_when_it_is_closed(tmp_path: Path) -> None:
    for _ in range(2):
        folder = DataDir(tmp_path / "data")
        folder.open()
        folder.close()

    folder.delete()
    assert not (tmp_path / "data").exists()


def test_secrets_stay_the_same_and_private(tmp_path: Path) -> None:
    first = DataDir(tmp_path).secrets(["a"])
    second = DataDir(tmp_path).secrets(["a", "b"])

    assert second["a"] == first["a"] != second["b"]
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_draft_that_a_crash_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".kept.new").write_text("half")
    write_private(tmp_path / "kept", "whole")

    assert (tmp_path / "kept").read_text() == "whole"
