"""HTTPS without a proxy: answers stream, leaving is noticed and the end is drained as without it."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.server import tls_context
from app.settings.errors import ConfigurationError
from app.settings.server import Certificate
from tests.durability.answers import steps_of
from tests.durability.client import rows, user, wait_until
from tests.durability.conftest import CONFIG
from tests.server_process import ServerProcess, server_process
from tests.upstream import Upstream


def write_certificate(folder: Path) -> Certificate:
    """Signed by itself, for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    written = Certificate(folder / "certificate.pem", folder / "key.pem")
    written.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    written.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return written


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return write_certificate(tmp_path)


@pytest.fixture
def server(tmp_path: Path, certificate: Certificate, upstream: Upstream) -> Iterator[ServerProcess]:
    files = ["--tls-certificate", str(certificate.chain), "--tls-key", str(certificate.key)]
    config = CONFIG.format(upstream=upstream.base_url)
    environment = {"FAKE_KEY": "not-a-key", "PALAVER_TOKEN": "let-me-in"}
    with server_process(tmp_path, *files, config=config, environment=environment) as running:
        yield running


@pytest.fixture
def client(server: ServerProcess, certificate: Certificate) -> Iterator[httpx2.Client]:
    context = ssl.create_default_context(cafile=certificate.chain)
    with httpx2.Client(base_url=server.url, verify=context, headers={"x-api-key": "let-me-in"}, timeout=20) as client:
        yield client


def body_of(**more: object) -> dict[str, object]:
    return {"message": user("question", "Tell me a story"), **more}


def until(lines: Iterator[str], said: str) -> None:
    assert any(said in line for line in lines)


def test_an_answer_streams_and_is_drained_at_the_end(
    tmp_path: Path, server: ServerProcess, client: httpx2.Client, upstream: Upstream
) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    with client.stream("POST", "/api/ai/chat/b1", json=body_of()) as answer, ThreadPoolExecutor() as threads:
        lines = answer.iter_lines()
        until(lines, "Once upon")
        ending = threads.submit(server.end)
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert rest[-1] == {"type": "abort"}
        assert ending.result() == 0
    assert [row[2:] for row in rows(tmp_path, "b1")][1:] == [("interrupted", "Once upon")]


def test_leaving_is_noticed(tmp_path: Path, client: httpx2.Client, upstream: Upstream) -> None:
    upstream.reply(steps_of(["Once upon"], ends=False))
    body = body_of(options={"onDisconnect": "cancel"})
    with client.stream("POST", "/api/ai/chat/b1", json=body) as answer:
        until(answer.iter_lines(), "Once upon")
    upstream.requests[-1].gone.wait()
    wait_until(lambda: [status for _, _, status, _ in rows(tmp_path, "b1")] == ["complete", "stopped"])


def test_its_cookie_is_for_encrypted_connections_only(client: httpx2.Client) -> None:
    headers = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    answer = client.post("/login", data={"token": "let-me-in"}, headers=headers)
    assert answer.status_code == 303
    assert "; secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("wrong", ["key", "chain"])
def test_files_that_do_not_fit_are_a_mistake(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate, wrong: str
) -> None:
    other = write_certificate(tmp_path_factory.mktemp("other"))
    chain, key = (other.chain, certificate.key) if wrong == "chain" else (certificate.chain, other.key)
    with pytest.raises(ConfigurationError, match="do not belong together"):
        tls_context(Certificate(chain, key))


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("no key")], ids=["gone", "no key"])
def test_a_key_that_cannot_be_read_is_a_mistake(certificate: Certificate, spoil: Callable[[Path], object]) -> None:
    spoil(certificate.key)
    with pytest.raises(ConfigurationError, match=r"cannot be used: (No such file|they are no PEM)"):
        tls_context(certificate)
