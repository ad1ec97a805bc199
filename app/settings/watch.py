"""The configuration as it is now: read at start, read again when a file changes, kept when the new one is broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from app.core.model import Configuration
from app.settings.config_file import read_config_file
from app.settings.default import DefaultPreset, LocalServer, choose_default, with_default
from app.settings.errors import ConfigurationError
from app.settings.server import ServerSettings
from app.settings.wave_file import is_wave, read_wave_files, wave_files

SECONDS_BETWEEN_CHECKS = 1.0

_log = logging.getLogger(__name__)

Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, inode, time of change in ns and size of every file: another one means that something was written."""


def load_configuration(
    server: ServerSettings,
    environ: Mapping[str, str],
    local: LocalServer | None,
    clock: Callable[[], float] = time.monotonic,
) -> ConfigurationFile:
    """What main calls once at start.

    Raises:
        ConfigurationError: the file is missing or broken now.
    """
    return ConfigurationFile(server.config, choose_default(environ, local), clock)


class ConfigurationFile:
    """Looks at the files when it is asked, at most once a second; there is nothing to start or to close."""

    def __init__(self, path: Path | None, default: DefaultPreset, clock: Callable[[], float]) -> None:
        self._path = path
        self._default = default
        self._clock = clock
        self._checked_at = clock()
        self._stamp = _stamp(path)
        self._configuration = self._read()
        self.problem: str | None = None
        """What is wrong with the file as it is now, while an older state of it is in use."""

    def current(self) -> Configuration:
        now = self._clock()
        if now - self._checked_at >= SECONDS_BETWEEN_CHECKS:
            self._checked_at = now
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._read_again()
        return self._configuration

    def _read_again(self) -> None:
        try:
            _refuse_empty(self._stamp)
            self._configuration = self._read()
        except ConfigurationError as error:
            self.problem = f"{error}. The configuration before this change stays in use."
            _log.warning("configuration not read again", extra={"problem": self.problem})
        else:
            self.problem = None
            _log.info("configuration read again", extra={"presets": len(self._configuration.presets)})

    def _read(self) -> Configuration:
        path = self._path
        if path is None:
            return with_default(Configuration(presets={}), self._default, "")
        configuration = read_wave_files(path) if is_wave(path) else read_config_file(path)
        return with_default(configuration, self._default, path.resolve().name)


def _refuse_empty(stamp: Stamp) -> None:
    """What an editor leaves for a moment before it writes must not become the configuration."""
    if stamp and not any(size for *_, size in stamp):
        raise ConfigurationError(f"{stamp[0][0]}: is empty")


def _stamp(path: Path | None) -> Stamp:
    if path is None:
        return ()
    stamp = []
    for file in wave_files(path) if is_wave(path) else [path]:
        try:
            status = file.stat()
        except OSError:
            continue  # gone, or not to be seen: reading it will say so
        stamp.append((file.name, status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(stamp)
