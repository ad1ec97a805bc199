"""A data folder belongs to one server at a time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.core.errors import StorageUnavailable
from app.storage.lock import NAME, locked


def test_a_second_server_is_told_who_has_the_folder(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(StorageUnavailable, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
        with pytest.raises(StorageUnavailable), locked(tmp_path):
            pass
    with locked(tmp_path):
        pass


def test_another_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with locked(tmp_path), locked(tmp_path / "other"):
        pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(StorageUnavailable, match="The data folder cannot be used: Is a directory"), locked(tmp_path):
        pass
