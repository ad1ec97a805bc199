"""Single entries of a configuration file, checked.

Every function takes the entry's `place`, as in `palaver.toml: presets.claude.base_url`, and complains about that.
A `prefix` is the beginning of a place to which a key is added: `palaver.toml: presets.claude.`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from app.core.errors import InvalidRequest
from app.core.model import Preset
from app.core.values import Values, parse_values
from app.providers.catalog import CATALOG
from app.settings.errors import ConfigurationError

RESERVED_HEADERS = frozenset({"host", "content-type", "content-length", "transfer-encoding", "connection"})

Scheme: TypeAlias = Literal["http", "ws"]

_PRESET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ADDRESS = re.compile(r"(http|ws)s?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:/[^\s?#]*)?")
_HIGHEST_PORT = 65_535
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]*")
_PRINTABLE_ASCII = re.compile(r"[ -~]*")
_LONGEST_WAIT = 86_400.0


def read_file(path: Path, name: str) -> str:
    """The text of `path`, called `name` in complaints."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(f"{name}: there is no such file") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name}: must be text in UTF-8") from None
    except OSError as error:
        raise ConfigurationError(f"{name}: cannot be read: {error.strerror}") from None


def check_keys(said: Iterable[str], known: Iterable[str], prefix: str) -> None:
    known = list(known)
    for key in said:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {nearest[0]}? Known" if nearest else "known"
            raise ConfigurationError(f"{prefix}{shown(key)}: unknown key; {hint} keys are {', '.join(known)}")


def shown(key: str) -> str:
    """A key as it may stand in a line of text, whatever a quoted key holds."""
    return key[:80] if key.isprintable() else ascii(key[:80])


def read_table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place}: must be a table of keys and values")
    return value


def is_json(value: Any) -> bool:
    """Whether a value can be written as JSON: TOML also has dates, and numbers that are none."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def read_path(text: str, place: str) -> Path:
    """A path; `~` is the user's own folder, `~name` that of another."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ConfigurationError(
            f"{place}: there is no home folder that ~ could stand for; write the whole path"
        ) from None


def is_file(path: Path) -> bool:
    """Whether there is such a file. What we may not look at counts as not there, as the next one does."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def read_text(value: Any, place: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not _LINE.fullmatch(value):
        raise ConfigurationError(f"{place}: must be one line of text of at most {longest} characters")
    return value


def read_preset_name(key: str, prefix: str) -> str:
    """The preset's name without Wave's `ai@`, which is optional everywhere."""
    name = key.removeprefix("ai@")
    if not _PRESET_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{prefix}{shown(key)}: a preset's name has at most 64 letters, digits and _ . @ -, "
            "the first a letter or digit"
        )
    return name


def read_provider(value: Any, place: str) -> str:
    if not isinstance(value, str) or value not in CATALOG:
        raise ConfigurationError(f"{place}: must be one of {', '.join(CATALOG)}")
    return value


def read_base_url(value: Any, place: str, provider: str) -> str:
    """An address without credentials, query or closing slash: http(s), or ws(s) for a service over WebSocket."""
    scheme: Scheme = "ws" if CATALOG[provider].base_url.startswith("ws") else "http"
    return read_address(value, place, "api_key_env", scheme).rstrip("/")


def read_address(value: Any, place: str, key_place: str, scheme: Scheme = "http") -> str:
    """An address without credentials or query, encrypted or not; `key_place` is where a key belongs."""
    match = _ADDRESS.fullmatch(value) if isinstance(value, str) else None
    if match is not None and match[1] == scheme and int(match[2] or 0) <= _HIGHEST_PORT:
        return match[0]
    if isinstance(value, str) and "@" in value:
        raise ConfigurationError(f"{place}: must not hold a name or a password; a key belongs in {key_place}")
    raise ConfigurationError(f"{place}: must be an address such as {scheme}://127.0.0.1:8080/v1")


def read_variable(value: Any, place: str) -> str:
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise ConfigurationError(f"{place}: must be the name of an environment variable, not the key itself")
    return value


def read_secret(value: Any, place: str) -> str:
    """A key that goes into a header as it is."""
    if not isinstance(value, str) or not _PRINTABLE_ASCII.fullmatch(value):
        raise ConfigurationError(f"{place}: must be a key: one line of plain ASCII characters")
    return value


def read_service_headers(value: Any, place: str) -> Mapping[str, str]:
    """Those of a model service, which has its key from elsewhere."""
    headers = read_headers(value, place)
    for name in headers:
        if name.lower() == "authorization":
            raise ConfigurationError(
                f"{place}.{name}: this header is set by the server itself; a key belongs in api_key_env"
            )
    return headers


def read_headers(value: Any, place: str) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for name, content in read_table(value, place).items():
        own = f"{place}.{shown(name)}"
        if not _HEADER_NAME.fullmatch(name):
            raise ConfigurationError(f"{own}: not a name that a header can have")
        if name.lower() in RESERVED_HEADERS:
            raise ConfigurationError(f"{own}: this header is set by the server itself")
        if not isinstance(content, str) or not _PRINTABLE_ASCII.fullmatch(content):
            raise ConfigurationError(f"{own}: must be one line of plain ASCII text")
        headers[name] = content
    return headers


def read_seconds(value: Any, place: str, unit: float = 1.0) -> float:
    """`value` in units of `unit` seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value * unit <= _LONGEST_WAIT:
        kind = "milliseconds" if unit < 1 else "seconds"
        raise ConfigurationError(f"{place}: must be a number of {kind} above 0, at most a day")
    return value * unit


def read_values(said: Mapping[str, Any], names: Mapping[str, str], prefix: str) -> Values:
    try:
        return parse_values(said, names)
    except InvalidRequest as error:
        raise ConfigurationError(prefix + error.message.removesuffix(".")) from None


def read_global_preset(value: Any, presets: Mapping[str, Preset], place: str) -> str:
    """The name of an existing preset; `default` always exists."""
    names = sorted({*presets, "default"})
    if not isinstance(value, str) or value.removeprefix("ai@") not in names:
        raise ConfigurationError(f"{place}: must be the name of a preset; there are {', '.join(names)}")
    return value.removeprefix("ai@")


def check_model(preset: Preset, settings: Values, place: str) -> None:
    if preset.router is not None:
        return
    if preset.values.model is None and settings.model is None and preset.default_model is None:
        title = CATALOG[preset.provider].title
        raise ConfigurationError(f"{place}: missing; {title} has no customary model, so the preset must name one")


def check_embed_preset(name: str | None, presets: Mapping[str, Preset], place: str) -> None:
    """The preset must make embeddings, and say itself with which model: another preset's model is a chat's."""
    if name is None:
        return
    preset = presets.get(name)
    if preset is None or CATALOG[preset.provider].embeddings is None:
        makers = ", ".join(provider for provider, service in CATALOG.items() if service.embeddings is not None)
        raise ConfigurationError(f"{place}: must be a preset whose provider makes embeddings, one of {makers}")
    if preset.values.model is None and CATALOG[preset.provider].adapter != "embeddings":
        raise ConfigurationError(f"{place}: the preset {name} must name a model that makes embeddings")
