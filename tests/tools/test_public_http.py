from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
import pytest

from app.core.tools import ToolContext, ToolFailure, ToolOutput, ToolSource
from app.tools.built_in import fetch_page_tool
from app.tools.functions import tool_from
from app.tools.public_http import MAX_BYTES, Page, PublicWeb, is_public, read_url

pytestmark = pytest.mark.anyio

PUBLIC = "93.184.215.14"
"""Where the names of this file's servers lead, as far as the code under test can see."""


@dataclass
class Site:
    """A server on this machine that the internet, as these tests have it, shows at a public address."""

    port: int = 0
    answers: Mapping[str, bytes] = field(default_factory=dict)
    """The raw answer to each path."""
    heads: list[str] = field(default_factory=list)
    """The raw heads of the requests that came."""
    names: dict[str, Sequence[str]] = field(default_factory=dict)
    connected: list[str] = field(default_factory=list)
    """The addresses that were connected to."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        found = self.names.get(host, [host] if host.replace(".", "").isdigit() or ":" in host else None)
        if found is None:
            raise OSError("no such name")
        return found

    def transport(self) -> httpx2.AsyncBaseTransport:
        return _Wire(self)

    def web(self, seconds: float = 30.0) -> PublicWeb:
        return PublicWeb(self.resolve, self.transport, seconds)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        try:
            writer.write(self.answers[head.split()[1]])
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


class _Wire(httpx2.AsyncBaseTransport):
    """The cable: what goes to the public address arrives at the server on this machine, by real HTTP."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._inner = httpx2.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._site.connected.append(request.url.host)
        assert request.url.host == PUBLIC
        there = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._site.port)
        return await self._inner.handle_async_request(
            httpx2.Request("GET", there, headers=request.headers, extensions=request.extensions)
        )

    async def aclose(self) -> None:
        await self._inner.aclose()


@asynccontextmanager
async def site(answers: Mapping[str, bytes], **names: Sequence[str]) -> AsyncGenerator[Site, None]:
    running = Site(answers=answers, names={"a.example": [PUBLIC], "b.example": [PUBLIC], **names})
    server = await asyncio.start_server(running.handle, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    async with server:
        yield running


def answer(body: bytes, content_type: str = "text/html", status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def redirect(location: str) -> bytes:
    return answer(b"", status="302 Found", headers=f"Location: {location}\r\n")


async def refused(running: Site, url: str, seconds: float = 30.0) -> str:
    with pytest.raises(ToolFailure) as raised:
        await running.web(seconds).get(url)
    return str(raised.value)


async def test_a_public_page_is_fetched_from_the_address_that_was_checked() -> None:
    async with site({"/x?y=1": answer("Grüße".encode(), "Text/Plain; charset=UTF-8")}) as running:
        page = await running.web().get("https://A.example/x?y=1#part")
    assert page == Page("https://a.example/x?y=1", "text/plain", "Grüße".encode(), "utf-8", cut=False)
    assert running.connected == [PUBLIC]
    assert running.heads[0].splitlines()[0] == "GET /x?y=1 HTTP/1.1"
    assert "host: a.example" in running.heads[0].lower()


async def test_what_is_resolved_is_what_is_asked_for_in_one_spelling() -> None:
    spelt = "xn--gre-6ka8l.example"
    async with site({"/": answer(b"x")}, **{spelt: [PUBLIC]}) as running:
        await running.web().get("https://GRÜßE.example/")
    assert f"host: {spelt}" in running.heads[0].lower()


async def test_nothing_of_ours_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    answers = {
        "/": answer(b"", status="302 Found", headers="Location: /next\r\nSet-Cookie: a=b\r\n"),
        "/next": answer(b"x"),
    }
    async with site(answers) as running:
        await running.web().get("https://a.example/")
    for head in running.heads:
        names = {line.split(":")[0].lower() for line in head.split("\r\n")[1:] if line}
        assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}


NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "192.88.99.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1", "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "fc00::1", "fd00::1", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "100::1", "5f00::1", "", "a.example", "2130706433",
    "192.0.0.192", "168.63.129.16",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(address)


INSIDE = "This address is not on the public web; only public pages can be fetched."
REFUSED_URLS = {
    "http://127.0.0.1/": INSIDE,
    "http://127.0.0.1:8080/": INSIDE,
    "http://[::1]/": INSIDE,
    "http://[::ffff:127.0.0.1]/": INSIDE,
    "http://inside.example/": INSIDE,
    "http://both.example/": INSIDE,
    "http://169.254.169.254/latest/meta-data/": INSIDE,
    "http://nowhere.example/": "There is no server of this name.",
    "http://a.example:22/": "Only pages on the usual ports can be fetched.",
    "http://a.example:99999/": "Only pages on the usual ports can be fetched.",
    "http://a.example:port/": "This is no address of a page.",
    "https://me:secret@a.example/": "An address with a name or a password in it is not fetched.",
    "https://a.example@127.0.0.1/": "An address with a name or a password in it is not fetched.",
    "ftp://a.example/": "Only addresses that begin with http:// or https:// can be fetched.",
    "file:///etc/passwd": "Only addresses that begin with http:// or https:// can be fetched.",
    "gopher://a.example/": "Only addresses that begin with http:// or https:// can be fetched.",
    "javascript:alert(1)": "Only addresses that begin with http:// or https:// can be fetched.",
    "//a.example/": "Only addresses that begin with http:// or https:// can be fetched.",
    "a.example": "Only addresses that begin with http:// or https:// can be fetched.",
    "http:///x": "Only addresses that begin with http:// or https:// can be fetched.",
    "http://a.example/\r\nX: y": "This is no address of a page.",
    "http://a.example/" + "x" * 2_000: "Only addresses that begin with http:// or https:// can be fetched.",
}
NAMES = {"inside.example": ["10.0.0.1"], "both.example": [PUBLIC, "127.0.0.1"]}


@pytest.mark.parametrize("url", REFUSED_URLS)
async def test_other_addresses_are_not_even_connected_to(url: str) -> None:
    async with site({"/": answer(b"secret")}, **NAMES) as running:
        assert await refused(running, url) == REFUSED_URLS[url]
        assert running.connected == []


@pytest.mark.parametrize(
    "host",
    ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "0", "localhost", "127。0。0。1", "①②⑦.0.0.1"],
)
async def test_spellings_of_this_machine_lead_nowhere(host: str) -> None:
    """With the real resolver, which understands most of them."""
    with pytest.raises(ToolFailure):
        await PublicWeb().get(f"http://{host}:8080/")


@pytest.mark.parametrize(
    "url",
    [
        url
        for url in REFUSED_URLS
        if ":" in url and url.isprintable() and url not in ("http:///x", "http://a.example:port/")
    ],
)
async def test_a_redirect_to_them_is_not_followed(url: str) -> None:
    async with site({"/": redirect(url)}, **NAMES) as running:
        assert await refused(running, "http://a.example/") == REFUSED_URLS[url]
        assert running.connected == [PUBLIC]


async def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    async with site({"/": redirect("/again"), "/again": answer(b"secret")}) as running:
        answers = iter([[PUBLIC], ["127.0.0.1"]])

        async def rebinding(host: str, port: int) -> Sequence[str]:
            return next(answers)

        with pytest.raises(ToolFailure, match=INSIDE):
            await PublicWeb(rebinding, running.transport).get("http://a.example/")
        assert running.connected == [PUBLIC]


async def test_redirects_to_other_public_pages_are_followed_to_an_end() -> None:
    async with site({"/": redirect("http://b.example/there"), "/there": answer(b"x")}) as running:
        assert (await running.web().get("https://a.example/")).url == "http://b.example/there"
    async with site({"/": redirect("/")}) as running:
        assert await refused(running, "http://a.example/") == "The page redirects too often."
        assert len(running.connected) == 6


BAD_ANSWERS = {
    "not found": (answer(b"x", status="404 Not Found"), "The page's server answered with status 404."),
    "redirect to nowhere": (answer(b"", status="302 Found"), "The page's server answered with status 302."),
    "picture": (answer(b"x", "image/png"), "This is no page of text."),
    "binary": (answer(b"x", "application/octet-stream"), "This is no page of text."),
    "PDF": (answer(b"%PDF-", "application/pdf"), "This is no page of text."),
    "no type": (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "This is no page of text."),
    "stream": (answer(b"data: x", "text/event-stream"), "This is no page of text."),
    "compressed": (
        answer(b"\x1f\x8b", headers="Content-Encoding: gzip\r\n"),
        "The page came compressed, which was not asked for.",
    ),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "The page's server cannot be reached, or broke the connection."),
    "nothing": (b"", "The page's server cannot be reached, or broke the connection."),
    "cut off": (
        answer(b"x" * 100)[:-50],
        "The page's server cannot be reached, or broke the connection.",
    ),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
async def test_answers_that_are_no_page_say_so(case: str) -> None:
    raw, sentence = BAD_ANSWERS[case]
    async with site({"/": raw}) as running:
        assert await refused(running, "http://a.example/") == sentence


async def test_a_big_page_is_cut() -> None:
    async with site({"/": answer(b"x" * (MAX_BYTES + 500_000), "text/plain")}) as running:
        page = await running.web().get("http://a.example/")
    assert (len(page.content), page.cut) == (MAX_BYTES, True)


async def test_a_page_that_does_not_come_is_given_up() -> None:
    async with site({}) as running:
        begun = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            begun.set()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        running.port = server.sockets[0].getsockname()[1]
        async with server:
            assert await refused(running, "http://a.example/", 0.3) == "The page did not come within 0.3 seconds."
            assert begun.is_set()


def test_fragments_are_not_sent() -> None:
    assert str(read_url("https://a.example/x#y")) == "https://a.example/x"


HTML = """<!doctype html><html><head><title>My &amp; yours</title><script>alert(1)</script></head><body>
<nav><a href="/menu">Menu</a></nav><main><article><h1>Heading</h1>
<p>Grüße: this paragraph is long enough to be what the page is about, and it has <a href="/more">a link</a>.</p>
<p>And another one, which is about as long as the first, so that nobody doubts it.</p></article></main></body></html>"""


async def fetch(running: Site, url: str) -> ToolOutput:
    execute = tool_from(fetch_page_tool(running.web())).execute
    assert execute is not None
    output = await execute({"url": url}, ToolContext("b", "c"))  # type: ignore[misc]
    assert isinstance(output, ToolOutput)
    return output


@pytest.mark.parametrize(
    ("charset", "header"), [("utf-8", "text/html; charset=utf-8"), ("latin-1", "text/html; charset=ISO-8859-1")]
)
async def test_the_text_of_a_page_is_what_it_is_about(charset: str, header: str) -> None:
    async with site({"/": answer(HTML.encode(charset), header)}) as running:
        output = await fetch(running, "https://a.example/")
    assert output.sources == (ToolSource("https://a.example/", "My & yours"),)
    assert output.value["title"] == "My & yours"
    text = output.value["text"]
    assert text.startswith("# Heading\n\nGrüße: this paragraph")
    assert "[a link](https://a.example/more)" in text
    assert "Menu" not in text
    assert "alert" not in text


@pytest.mark.parametrize("charset", ["no-such-charset", "punycode", "hex", "undefined", "utf-8"])
async def test_plain_text_is_taken_as_it_is_and_cut(charset: str) -> None:
    async with site({"/": answer("ä".encode() * 50_000, f"text/plain; charset={charset}")}) as running:
        output = await fetch(running, "https://a.example/")
    assert output.value == {"url": "https://a.example/", "text": "ä" * 40_000, "cut": True}


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\x00\xff" * 50, b"<div>" * 100_000])
async def test_a_page_without_text_says_so(body: bytes) -> None:
    async with site({"/": answer(body)}) as running:
        with pytest.raises(ToolFailure, match=r"^There is no text on this page"):
            await fetch(running, "https://a.example/")
