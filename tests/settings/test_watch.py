from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from app.core.model import Configuration
from app.settings.errors import ConfigurationError
from app.settings.server import ServerSettings
from app.settings.watch import ConfigurationFile, load_configuration

GOOD = '[presets.one]\nprovider = "echo"\n'
CHANGED = '[presets.two]\nprovider = "echo"\n'  # of the same length
BROKEN = '[presets.one]\nprovidr = "echo"\n'
STAYS = " The configuration before this change stays in use."


class Watched:
    """A configuration file, and a clock that goes on by two seconds with every look."""

    def __init__(self, path: Path) -> None:
        self.seconds = 0.0
        self.path = path
        self.file: ConfigurationFile = load_configuration(
            ServerSettings(data=path.parent, config=path), {}, None, clock=lambda: self.seconds
        )

    def current(self) -> Configuration:
        self.seconds += 2
        return self.file.current()

    def names(self) -> list[str]:
        return sorted(self.current().presets)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    (tmp_path / "palaver.toml").write_text(GOOD)
    return Watched(tmp_path / "palaver.toml")


def test_without_a_file_there_is_the_default(tmp_path: Path) -> None:
    file = load_configuration(ServerSettings(data=tmp_path), {"OPENAI_API_KEY": "o"}, None)
    configuration = file.current()
    assert list(configuration.presets) == ["default"]
    assert configuration.origin == "The default is OpenAI (gpt-6.1-terra), because OPENAI_API_KEY is set."


def test_a_file_that_is_broken_at_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "palaver.toml").write_text(BROKEN)
    with pytest.raises(ConfigurationError, match=r"^palaver\.toml: presets\.one\.providr: unknown key"):
        Watched(tmp_path / "palaver.toml")


def test_a_missing_file_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^palaver\.toml: there is no such file$"):
        Watched(tmp_path / "palaver.toml")


def test_an_unchanged_file_is_read_once(watched: Watched) -> None:
    assert watched.current() is watched.current()


def test_a_changed_file_is_picked_up(watched: Watched) -> None:
    assert watched.names() == ["default", "one"]
    watched.path.write_text(GOOD + CHANGED)
    assert watched.names() == ["default", "one", "two"]


def test_a_file_is_looked_at_once_a_second_at_most(watched: Watched) -> None:
    watched.path.write_text(GOOD + CHANGED)
    watched.seconds += 0.9
    assert "two" not in watched.file.current().presets
    watched.seconds += 0.1
    assert "two" in watched.file.current().presets


def test_a_file_put_in_its_place_is_noticed_even_with_the_same_time_and_size(watched: Watched) -> None:
    before = watched.path.stat()
    new = watched.path.with_name("new.toml")
    new.write_text(CHANGED)
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
    new.replace(watched.path)
    after = watched.path.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)
    assert watched.names() == ["default", "two"]


def test_a_broken_file_keeps_the_old_configuration_and_says_so_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    good = watched.current()
    watched.path.write_text(BROKEN)
    assert [watched.current() for _ in range(3)] == [good, good, good]
    problem = watched.file.problem
    assert problem is not None
    assert problem.startswith("palaver.toml: presets.one.providr: unknown key; did you mean provider?")
    assert problem.endswith(STAYS)
    assert [record.message for record in caplog.records] == ["configuration not read again"]

    watched.path.write_text(BROKEN + "# another try\n")
    watched.current()
    assert len(caplog.records) == 2

    watched.path.write_text(CHANGED)
    assert watched.names() == ["default", "two"]
    assert watched.file.problem is None


def test_a_path_that_cannot_be_keeps_the_old_configuration(watched: Watched) -> None:
    good = watched.current()
    watched.path.write_text('[tools]\nmodules = ["~nobody-of-this-name/my_tools.py"]\n')
    assert watched.current() == good
    assert watched.file.problem is not None
    assert watched.file.problem.startswith("palaver.toml: tools.modules: there is no home folder")


def test_a_file_that_goes_away_keeps_the_old_configuration(watched: Watched) -> None:
    watched.path.unlink()
    assert watched.names() == ["default", "one"]
    assert watched.file.problem == f"palaver.toml: there is no such file.{STAYS}"
    watched.path.write_text(CHANGED)
    assert watched.names() == ["default", "two"]
    assert watched.file.problem is None


def test_a_file_that_is_just_being_written_is_not_taken_for_an_empty_one(watched: Watched) -> None:
    watched.path.write_text("")
    assert watched.names() == ["default", "one"]
    assert watched.file.problem == f"palaver.toml: is empty.{STAYS}"


def test_a_default_that_the_file_takes_away_comes_back(watched: Watched) -> None:
    watched.path.write_text('[presets.default]\nprovider = "ollama"\nmodel = "m"\n')
    assert watched.current().presets["default"].provider == "ollama"
    watched.path.write_text(GOOD)
    assert watched.current().presets["default"].provider == "echo"


def test_a_file_that_comes_into_waves_folder_is_picked_up(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"ai:model": "m"}')
    watched = Watched(tmp_path)
    assert watched.names() == ["default"]
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "ai.json").write_text(json.dumps({"ai@one": {"ai:apitype": "echo"}}))
    assert watched.names() == ["default", "one"]
    (tmp_path / "presets" / "ai.json").write_text("{")
    assert watched.names() == ["default", "one"]
    assert str(watched.file.problem).startswith("presets/ai.json: not valid JSON: ")
