"""Attachments on disk: there once, whole or not at all, for nobody else to read."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from app.core.errors import StorageUnavailable
from app.storage.files import FileFolder

pytestmark = pytest.mark.anyio

DAY = 24 * 3600.0

WRITE_FOR_EVER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from app.storage.files import FileFolder

async def main():
    files = FileFolder(Path(sys.argv[1]))
    for n in count():
        print(await files.put(b"%d" % n * 100_000), flush=True)

asyncio.run(main())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "files"


@pytest.fixture
def files(folder: Path) -> FileFolder:
    folder.parent.mkdir()
    return FileFolder(folder)


def on_disk(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def make_old(path: Path, seconds: float = 2 * DAY) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


async def test_a_file_is_found_by_the_hash_of_its_content(files: FileFolder, folder: Path) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(10_000)
    file_id = await files.put(content)
    assert file_id == sha256(content).hexdigest()
    assert await files.read(file_id) == content
    stored = await files.find(file_id)
    assert stored is not None
    assert (stored.size, stored.media_type) == (len(content), "image/png")
    assert Path(stored.path) == folder / file_id[:2] / file_id


async def test_the_same_content_is_there_once(files: FileFolder, folder: Path) -> None:
    first = await files.put(b"same")
    assert await files.put(b"same") == first
    assert await asyncio.gather(*(files.put(b"other") for _ in range(8))) == [sha256(b"other").hexdigest()] * 8
    assert len(on_disk(folder)) == 2


async def test_nobody_else_may_read_it(files: FileFolder, folder: Path) -> None:
    mask = os.umask(0)
    try:
        await files.put(b"secret")
    finally:
        os.umask(mask)
    (path,) = on_disk(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "file_id",
    [
        "",
        "..",
        "../palaver.db",
        "a" * 63,
        "a" * 65,
        "A" * 64,
        f"{'a' * 64}\n",
        f"../{'a' * 61}",
        "%2e%2e",
        "/etc/passwd",
    ],
)
async def test_what_is_no_id_names_nothing(files: FileFolder, folder: Path, file_id: str) -> None:
    await files.put(b"x")
    (folder.parent / "palaver.db").write_text("private")
    assert await files.find(file_id) is None
    assert await files.read(file_id) is None


async def test_an_unknown_id_names_nothing(files: FileFolder) -> None:
    assert await files.find("a" * 64) is None
    assert await files.read("a" * 64) is None


async def test_removing_is_for_good_and_may_be_repeated(files: FileFolder, folder: Path) -> None:
    gone, kept = await files.put(b"gone"), await files.put(b"kept")
    for _ in range(2):
        await files.remove([gone])
    assert await files.find(gone) is None
    assert [path.name for path in on_disk(folder)] == [kept]


async def test_old_files_are_told_apart_from_new_ones(files: FileFolder, folder: Path) -> None:
    assert await files.older_than(0) == frozenset()
    old, new, again = await files.put(b"old"), await files.put(b"new"), await files.put(b"again")
    for file_id in (old, again):
        make_old(folder / file_id[:2] / file_id)
    await files.put(b"again")
    assert await files.older_than(DAY) == {old}
    assert await files.find(new) is not None


async def test_a_file_that_goes_while_the_old_are_looked_for_keeps_none_of_them(
    files: FileFolder, folder: Path
) -> None:
    old = await files.put(b"old")
    make_old(folder / old[:2] / old)
    (folder / old[:2] / f"{old}.0.part").symlink_to(folder / "gone")  # listed, and not there when it is looked at
    assert await files.older_than(DAY) == {old}


async def test_what_a_crash_left_half_written_is_nobodys_file_and_goes_after_a_while(
    files: FileFolder, folder: Path
) -> None:
    file_id = sha256(b"whole").hexdigest()
    halves = [folder / file_id[:2] / f"{file_id}.{n}.part" for n in "01"]
    halves[0].parent.mkdir(parents=True)
    for half in halves:
        half.write_bytes(b"who")
    make_old(halves[0])
    assert await files.find(file_id) is None
    assert await files.find(halves[0].name) is None
    assert await files.older_than(DAY) == frozenset()
    assert on_disk(folder) == [halves[1]], "the younger one may still be in the making"
    await files.put(b"whole")
    assert await files.read(file_id) == b"whole"


async def test_a_kill_leaves_whole_files_only(folder: Path) -> None:
    folder.parent.mkdir()
    for _ in range(4):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITE_FOR_EVER, str(folder), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(5)]
        process.kill()
        acknowledged += [line for line in (await process.stdout.read()).decode().split("\n")[:-1] if line]
        await process.wait()
        whole = {path.name for path in on_disk(folder) if path.suffix != ".part"}
        assert whole >= set(acknowledged)
        for file_id in whole:
            content = await FileFolder(folder).read(file_id)
            assert sha256(content or b"").hexdigest() == file_id


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """What a full disk is to a program, on a machine whose disk is not full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


async def test_a_write_that_fails_leaves_nothing_and_says_why(files: FileFolder, folder: Path) -> None:
    with no_file_larger_than(10_000), pytest.raises(StorageUnavailable, match="attached files") as failed:
        await files.put(bytes(100_000))
    assert str(folder) not in failed.value.message
    assert on_disk(folder) == []


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(StorageUnavailable, match="attached files"):
        await FileFolder(tmp_path / "files").put(b"x")
