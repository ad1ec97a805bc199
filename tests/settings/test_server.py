from __future__ import annotations

from pathlib import Path

import pytest

from app.settings.errors import ConfigurationError
from app.settings.server import VARIABLES, Certificate, ServerSettings, read_server_settings

OPEN = {
    "PALAVER_HOST": "0.0.0.0",
    "PALAVER_TOKEN": "3f1c9a7e5b2d4860",
    "PALAVER_ALLOWED_HOSTS": "chat.example.com",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, which is the current directory too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(home: Path, arguments: dict[str, object] | None = None, **environ: str) -> ServerSettings:
    return read_server_settings(arguments or {}, {"HOME": str(home), **environ})


def complaint(home: Path, arguments: dict[str, object] | None = None, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as raised:
        settings(home, arguments, **environ)
    return str(raised.value)


def test_nothing_said_means_this_machine_only_and_a_free_port(home: Path) -> None:
    found = settings(home)
    assert (found.host, found.port, found.token, found.config) == ("127.0.0.1", None, None, None)
    assert found.data == home / ".local/share/palaver"
    assert found.max_body_bytes == 10_000_000


def test_the_command_line_wins_over_the_environment(home: Path) -> None:
    environ = {"PALAVER_PORT": "8100", "PALAVER_DATA": str(home / "one"), "PALAVER_TOKEN": "from-the-environment"}
    found = settings(home, {"port": 9000, "data": None, "token": ""}, **environ)
    assert (found.port, found.data, found.token) == (9000, home / "one", "from-the-environment")


def test_every_variable_is_read(home: Path) -> None:
    environ = {
        "PALAVER_HOST": "::1",
        "PALAVER_PORT": "0",
        "PALAVER_CONFIG": "my.toml",
        "PALAVER_DATA": "data",
        "PALAVER_TOKEN": "secret",
        "PALAVER_ALLOWED_HOSTS": "Chat.Example.com, 192.168.1.20:8000,[fe80::1]",
        "PALAVER_ALLOWED_ORIGINS": "http://localhost:5173,https://APP.example.com:443",
        "PALAVER_PUBLIC_URL": "https://chat.example.com/",
        "PALAVER_MAX_BODY_BYTES": "20000000",
        "PALAVER_WORKERS": "1",
        "PALAVER_TLS_CERTIFICATE": "chain.pem",
        "PALAVER_TLS_KEY": "key.pem",
        "PALAVER_LOG_LEVEL": "debug",
    }
    assert set(environ) == set(VARIABLES.values())
    assert settings(home, **environ) == ServerSettings(
        host="::1",
        port=0,
        config=Path("my.toml"),
        data=Path("data"),
        token="secret",
        allowed_hosts=("chat.example.com", "192.168.1.20:8000", "[fe80::1]"),
        allowed_origins=("http://localhost:5173", "https://app.example.com"),
        public_url="https://chat.example.com",
        max_body_bytes=20_000_000,
        log_level="DEBUG",
        certificate=Certificate(Path("chain.pem"), Path("key.pem")),
    )


def test_several_workers_may_be_asked_for(home: Path) -> None:
    assert settings(home).workers == 1
    assert settings(home, {"workers": "4"}).workers == 4
    assert "tls-certificate: several workers" in complaint(
        home, {"workers": "2", "tls_certificate": "a", "tls_key": "b"}
    )


@pytest.mark.parametrize("given", ["PALAVER_TLS_CERTIFICATE", "PALAVER_TLS_KEY"])
def test_a_certificate_and_its_key_come_together(home: Path, given: str) -> None:
    assert f"{given}: the certificate and its key" in complaint(home, **{given: "file.pem"})


@pytest.mark.parametrize(
    ("variable", "value", "must"),
    [
        ("PALAVER_MAX_BODY_BYTES", "10MB", "must be a number of bytes from 1000 to 1000000000"),
        ("PALAVER_MAX_BODY_BYTES", "000000001000" + "9" * 12, "must be a number of bytes from 1000 to 1000000000"),
        ("PALAVER_MAX_BODY_BYTES", "1", "must be a number of bytes from 1000 to 1000000000"),
        ("PALAVER_WORKERS", "0", "must be a number from 1 to 64"),
        ("PALAVER_WORKERS", "65", "must be a number from 1 to 64"),
        ("PALAVER_WORKERS", "auto", "must be a number from 1 to 64"),
        ("PALAVER_LOG_LEVEL", "loud", "must be one of DEBUG, INFO, WARNING, ERROR"),
    ],
)
def test_a_wrong_number_or_level_is_refused(home: Path, variable: str, value: str, must: str) -> None:
    assert complaint(home, **{variable: value}) == f"{variable}: {must}"


def test_the_xdg_directories_are_honoured_where_they_are_absolute(home: Path) -> None:
    config = home / "config/palaver/palaver.toml"
    config.parent.mkdir(parents=True)
    config.touch()
    environ = {"XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": str(home / "config")}
    found = settings(home, **environ)
    assert (found.data, found.config) == (home / "data/palaver", config)
    assert settings(home, XDG_DATA_HOME="relative").data == home / ".local/share/palaver"


@pytest.mark.parametrize("variable", ["PALAVER_DATA", "PALAVER_CONFIG"])
def test_a_home_that_is_nobodys_is_refused(home: Path, variable: str) -> None:
    assert complaint(home, **{variable: "~nobody-of-this-name/x"}).startswith(f"{variable}: there is no home folder")


def test_a_configuration_that_may_not_be_looked_for_is_none(home: Path) -> None:
    assert settings(home, XDG_CONFIG_HOME=str(home / ("x" * 300))).config is None


def test_a_file_in_the_current_directory_comes_before_the_users_own(home: Path) -> None:
    own = home / ".config/palaver/palaver.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert settings(home).config == own
    (home / "palaver.toml").touch()
    assert settings(home).config == Path("palaver.toml")
    assert settings(home, {"config": "other.toml"}).config == Path("other.toml")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_loopback_needs_no_token(home: Path, host: str) -> None:
    assert settings(home, {"host": host}).token is None


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.20", "my-machine", "::ffff:127.0.0.1", "127.0.0.1.nip.io"]
)
@pytest.mark.parametrize("missing", ["PALAVER_TOKEN", "PALAVER_ALLOWED_HOSTS"])
def test_any_other_address_needs_a_token_and_names(home: Path, host: str, missing: str) -> None:
    environ = {**OPEN, "PALAVER_HOST": host}
    assert settings(home, **environ).token is not None
    del environ[missing]
    assert complaint(home, **environ) == (
        "PALAVER_HOST: other machines could reach this address. Set PALAVER_TOKEN to a long random text and "
        "PALAVER_ALLOWED_HOSTS to the names under which the server is reached, such as chat.example.com"
    )


def test_the_public_address_is_an_allowed_host(home: Path) -> None:
    environ = {**OPEN, "PALAVER_ALLOWED_HOSTS": "", "PALAVER_PUBLIC_URL": "https://Chat.example.com:8443"}
    assert settings(home, **environ).allowed_hosts == ("chat.example.com:8443",)


@pytest.mark.parametrize("port", ["-1", "65536", "http", "80 80", "٨٠٠٠", "1" * 5000])
def test_a_port_is_a_number_that_ports_have(home: Path, port: str) -> None:
    assert complaint(home, {"port": port}) == "--port: must be a number from 0 to 65535"
    assert complaint(home, PALAVER_PORT=port) == "PALAVER_PORT: must be a number from 0 to 65535"


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://*.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://app.example.com#",
        "https://user@app.example.com",
        "https://app.example.com:99999",
        "https://app.example.com:",
        "ftp://app.example.com",
        "app.example.com",
        "//app.example.com",
        "https://äpp.example.com",
        "https://app.example.com evil.example",
        "http://localhost:5173, *",
    ],
)
def test_an_allowed_origin_is_exact(home: Path, origin: str) -> None:
    assert complaint(home, PALAVER_ALLOWED_ORIGINS=origin) == (
        "PALAVER_ALLOWED_ORIGINS: must be exact origins such as http://localhost:5173, separated by commas; "
        "no *, no null, no patterns, no paths"
    )


@pytest.mark.parametrize("host", ["*", "*.example.com", "https://chat.example.com", "chat.example.com/x", "a@b", ".a"])
def test_an_allowed_host_is_a_name(home: Path, host: str) -> None:
    assert complaint(home, PALAVER_ALLOWED_HOSTS=host).startswith(
        "PALAVER_ALLOWED_HOSTS: must be names such as chat.example.com or 192.168.1.20:8000, separated by commas;"
    )


@pytest.mark.parametrize("address", ["chat.example.com", "https://chat.example.com/palaver", "https://a@b", "*"])
def test_the_public_address_has_no_path(home: Path, address: str) -> None:
    assert complaint(home, PALAVER_PUBLIC_URL=address) == (
        "PALAVER_PUBLIC_URL: must be an address such as https://chat.example.com, without a path"
    )


def test_a_token_must_fit_into_a_header_and_is_never_shown(home: Path) -> None:
    told = complaint(home, PALAVER_TOKEN="pässword 1")
    assert told == "PALAVER_TOKEN: must be plain ASCII characters without spaces"
    assert "3f1c9a7e5b2d4860" not in repr(settings(home, **OPEN))


def test_a_token_cannot_be_taken_for_a_key_of_the_gateway() -> None:
    with pytest.raises(ConfigurationError, match="PALAVER_TOKEN: only keys of the gateway begin with plv_"):
        read_server_settings({}, {"PALAVER_TOKEN": "plv_secret"})
