from __future__ import annotations

from pathlib import Path

from app.storage.size import folder_size


def test_every_file_counts_once_and_folders_count_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "below").mkdir()
    (tmp_path / "below/b").write_bytes(b"x" * 5)
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert folder_size(tmp_path) == 15
    assert folder_size(tmp_path / "nowhere") == 0
