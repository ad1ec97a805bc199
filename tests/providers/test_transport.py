"""The connections to model services: what is sent arrives as it is, what comes back too, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from app.core.errors import ProviderRejected, ProviderUnavailable
from app.core.model import Preset
from app.providers.endpoint import endpoint
from app.providers.http import new_client
from app.providers.retry import Retry
from app.providers.transport import Transport, body_of
from tests.durability.test_tls import write_certificate
from tests.providers.asking import FORMATS, KEY, ask, ask_upstream, no_sleep, opened, preset, request
from tests.upstream import Gate, Reply, Upstream, chat_answer, json_reply

pytestmark = pytest.mark.anyio

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        yield server


@asynccontextmanager
async def client_for(base_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with new_client(endpoint(Preset("mine", "openai-chat", base_url=base_url), {})) as client:
        yield client


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_for(upstream.base_url) as client:
        yield client


def post(client: httpx2.AsyncClient, url: str, **what: object) -> httpx2.Request:
    return client.build_request("POST", url, **what)  # type: ignore[arg-type]


async def rest_of(response: httpx2.Response) -> bytes:
    pieces = []
    while data := await body_of(response).read():
        pieces.append(data)
    return b"".join(pieces)


@asynccontextmanager
async def listening(
    answer: bytes | None, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each request with the same bytes, or hangs up at once; its port, and what it received."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            received.append(await reader.readuntil(b"\r\n\r\n"))
            if answer is not None:
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], received


OK = b"HTTP/1.1 200 Fine\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


# What comes back


async def test_status_and_headers_come_as_they_are(upstream: Upstream, client: httpx2.AsyncClient) -> None:
    upstream.reply(Reply([b"ok"], 207, {"content-type": "text/plain", "Retry-After": "7", "x-twice": "1"}, "length"))
    response = await client.send(post(client, upstream.base_url), stream=True)
    assert (response.status_code, response.reason_phrase, response.http_version) == (207, "Scripted", "HTTP/1.1")
    assert response.headers["retry-after"] == "7"
    assert response.headers["X-Twice"] == "1"
    assert await rest_of(response) == b"ok"
    await response.aclose()


@pytest.mark.parametrize("framing", ["chunked", "length", "eof"])
async def test_a_body_is_read_as_it_comes(upstream: Upstream, framing: str) -> None:
    gate = Gate()
    upstream.reply(Reply([b"first", gate, b"second"], framing=framing))  # type: ignore[arg-type]
    async with client_for(upstream.base_url) as client:
        response = await client.send(post(client, upstream.base_url), stream=True)
        body = body_of(response)
        assert await body.read() == b"first", "while the rest is not there yet"
        gate.open()
        assert await body.read() == b"second"
        assert await body.read() == b""
        assert await body.read() == b"", "again, as often as it is asked"
        await response.aclose()


async def test_through_httpx2_a_body_reads_the_same(upstream: Upstream, client: httpx2.AsyncClient) -> None:
    upstream.reply(Reply([b"one", b"two"]))
    assert (await client.send(post(client, upstream.base_url))).content == b"onetwo"


@pytest.mark.parametrize("format_", FORMATS)
async def test_what_a_service_says_of_an_error_reaches_the_user(upstream: Upstream, format_: str) -> None:
    upstream.reply(json_reply(400, {"error": {"type": "invalid_request_error", "message": "The moon is too full."}}))
    answer = await ask_upstream(format_, upstream)
    assert isinstance(answer.error, ProviderRejected)
    assert "The moon is too full" in answer.error.message


async def test_redirects_are_not_followed(upstream: Upstream, client: httpx2.AsyncClient) -> None:
    upstream.reply(Reply([], 307, {"location": f"{upstream.url}/elsewhere"}))
    assert (await client.send(post(client, upstream.base_url))).status_code == 307
    assert len(upstream.requests) == 1


# What is sent


async def test_a_request_has_the_headers_it_was_given_and_no_others(
    upstream: Upstream, client: httpx2.AsyncClient
) -> None:
    await client.send(post(client, f"{upstream.base_url}/chat/completions?a=%2Fb", content=b"{}"))
    [sent] = upstream.requests
    assert sent.path == "/v1/chat/completions?a=%2Fb"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert sent.headers["content-length"] == "2"
    assert "content-type" not in sent.headers
    assert sent.headers["user-agent"] == client.headers["user-agent"]


@pytest.mark.parametrize("size", [10, 499_000, 501_000, 3_000_000])
async def test_a_body_of_any_size_arrives_whole(upstream: Upstream, client: httpx2.AsyncClient, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    await client.send(post(client, f"{upstream.base_url}/chat/completions", content=content))
    [sent] = upstream.requests
    assert sent.body == content
    assert sent.headers["content-length"] == str(len(content))
    assert "transfer-encoding" not in sent.headers


async def test_a_long_history_arrives_through_an_sdk(upstream: Upstream) -> None:
    answer = await ask_upstream("openai-chat", upstream, request("Wörter " * 150_000))
    assert answer.text == "Hello from upstream."
    assert "Wörter " * 150_000 in str(upstream.requests[0].json)


# Connections


async def test_two_requests_share_a_connection(upstream: Upstream) -> None:
    async with opened() as registry:
        provider = registry.open(preset("openai-chat", upstream))
        assert (await ask(provider)).text == (await ask(provider)).text == "Hello from upstream."
        assert len(upstream.requests) == 2
        assert len(upstream._connections) == 1


async def test_many_requests_at_a_time_have_a_connection_each(upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply(*([gate, *chat_answer("Hi")] for _ in range(30)))
    async with opened() as registry:
        provider = registry.open(preset("openai-chat", upstream))
        asking = [asyncio.ensure_future(ask(provider)) for _ in range(30)]
        await upstream.arrived(30)
        gate.open()
        assert {answer.text for answer in await asyncio.gather(*asking)} == {"Hi"}


async def test_stopping_closes_the_connection_to_the_service(upstream: Upstream) -> None:
    upstream.reply([*chat_answer("Once", finish=None), "hold"])
    async with opened() as registry:
        async with aclosing(registry.open(preset("openai-chat", upstream)).stream(request())) as batches:
            await anext(batches)
        await upstream.requests[0].gone.opened()


async def test_letting_go_of_an_open_body_closes_its_connection(upstream: Upstream, client: httpx2.AsyncClient) -> None:
    upstream.reply(Reply([b"first", "hold"]))
    response = await client.send(post(client, upstream.base_url), stream=True)
    await body_of(response).read()
    await response.aclose()
    await upstream.requests[0].gone.opened()


async def test_closing_the_client_closes_what_is_open(upstream: Upstream) -> None:
    upstream.reply(Reply([b"first", "hold"]), Reply([b"whole"], framing="length"))
    async with client_for(upstream.base_url) as client:
        response = await client.send(post(client, upstream.base_url), stream=True)
        await body_of(response).read()
        await client.send(post(client, upstream.base_url))
    await upstream.requests[0].gone.opened()
    await response.aclose()
    del response
    gc.collect()  # what was not closed would warn now, and a warning is an error here


async def test_a_client_that_was_never_used_has_nothing_to_close() -> None:
    transport = Transport(encrypted=False)
    await transport.aclose()
    await transport.aclose()


# Failures


async def test_nobody_there_is_told_as_httpx2_tells_it(unused_port: int) -> None:
    async with client_for(f"http://127.0.0.1:{unused_port}/v1") as client:
        with pytest.raises(httpx2.ConnectError):
            await client.send(post(client, f"http://127.0.0.1:{unused_port}/v1"))


@pytest.fixture
async def unused_port() -> int:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        return int(server.sockets[0].getsockname()[1])


@pytest.mark.parametrize("format_", FORMATS)
async def test_nobody_there_is_an_error_that_says_so(unused_port: int, format_: str) -> None:
    base_url = f"http://127.0.0.1:{unused_port}/v1"
    async with opened(retry=Retry(sleep=no_sleep)) as registry:
        answer = await ask(registry.open(Preset("mine", format_, base_url=base_url, api_key=KEY)))
    assert isinstance(answer.error, ProviderUnavailable)


async def test_a_service_that_hangs_up_at_once_is_told() -> None:
    async with listening(None) as (port, received), client_for(f"http://127.0.0.1:{port}") as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.send(post(client, f"http://127.0.0.1:{port}"))
        assert len(received) == 1, "a model call is not sent twice behind our back"


async def test_what_is_no_http_is_told() -> None:
    async with (
        listening(b"220 mail.example ESMTP\r\n\r\n") as (port, _),
        client_for(f"http://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.send(post(client, f"http://127.0.0.1:{port}"))


@pytest.mark.parametrize("fault", ["cut", "reset"])
@pytest.mark.parametrize("framing", ["chunked", "length"])
async def test_a_body_that_breaks_off_never_looks_whole(
    upstream: Upstream, client: httpx2.AsyncClient, fault: str, framing: str
) -> None:
    gate = Gate()
    upstream.reply(*(Reply([b"first", gate, fault, b"never"], framing=framing) for _ in range(2)))  # type: ignore[arg-type,list-item]
    response = await client.send(post(client, upstream.base_url), stream=True)
    assert await body_of(response).read() == b"first"
    gate.open()
    with pytest.raises(httpx2.ReadError):
        await rest_of(response)
    await response.aclose()
    with pytest.raises(httpx2.ReadError):
        await client.send(post(client, upstream.base_url))


# TLS


@pytest.fixture
def tls(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server needs whose certificate nobody has signed but itself, and that certificate."""
    written = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(written.chain, written.key)
    return context, written.chain


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A server's event loop logs handshakes that its client has broken off."""
    caplog.set_level("CRITICAL", logger="asyncio")


@pytest.mark.usefixtures("quiet")
async def test_a_certificate_that_nobody_knows_is_refused(tls: tuple[ssl.SSLContext, Path]) -> None:
    async with listening(OK, tls[0]) as (port, received), client_for(f"https://127.0.0.1:{port}") as client:
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await client.send(post(client, f"https://127.0.0.1:{port}", headers={"authorization": f"Bearer {KEY}"}))
        assert received == [], "the key has not left"


async def test_a_certificate_that_this_machine_trusts_is_taken(
    tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[1]))
    async with listening(OK, tls[0]) as (port, _), client_for(f"https://127.0.0.1:{port}") as client:
        assert (await client.send(post(client, f"https://127.0.0.1:{port}"))).content == b"ok"


@pytest.mark.usefixtures("quiet")
async def test_a_certificate_of_another_name_is_refused(
    tls: tuple[ssl.SSLContext, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[1]))
    async with listening(OK, tls[0]) as (port, received), client_for(f"https://localhost:{port}") as client:
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await client.send(post(client, f"https://localhost:{port}"))
        assert received == []


# Proxies


async def test_a_proxy_of_the_environment_is_asked(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """The upstream plays the proxy: it is asked for whole addresses."""
    monkeypatch.setenv("http_proxy", upstream.url)
    async with opened() as registry:
        far = Preset("mine", "openai-chat", base_url="http://service.example/v1", api_key=KEY)
        answer = await ask(registry.open(far))
    assert answer.text == "Hello from upstream."
    [sent] = upstream.requests
    assert sent.path == "http://service.example/v1/chat/completions"
    assert sent.headers["host"] == "service.example"


async def test_through_a_proxy_encrypted_services_get_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = b"HTTP/1.1 403 Not here\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    async with listening(refused) as (port, received):
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        async with opened(retry=Retry(sleep=no_sleep)) as registry:
            far = Preset("mine", "openai-chat", base_url="https://service.example/v1", api_key=KEY)
            answer = await ask(registry.open(far))
    assert isinstance(answer.error, ProviderUnavailable)
    assert {line.split(b"\r\n")[0] for line in received} == {b"CONNECT service.example:443 HTTP/1.1"}
    assert all(KEY.encode() not in line for line in received)


async def test_a_model_server_on_this_machine_is_asked_without_the_proxy(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port}")
    assert (await ask_upstream("openai-chat", upstream)).text == "Hello from upstream."


async def test_an_address_that_needs_no_proxy_goes_without(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", upstream.url)
    monkeypatch.setenv("no_proxy", "service.invalid")
    async with opened(retry=Retry(sleep=no_sleep)) as registry:
        near = Preset("mine", "openai-chat", base_url="http://service.invalid/v1", api_key=KEY)
        answer = await ask(registry.open(near))
    assert isinstance(answer.error, ProviderUnavailable)
    assert upstream.requests == []
