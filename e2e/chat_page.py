"""What the tests of the htmx page share: the page as a person uses it, and a cable that can be cut."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.server_process import ServerProcess


def until(page: Page, test: str, argument: Any = None) -> None:
    """Wait until a JavaScript function says yes to `argument`. Playwright's own `wait_for_function` evaluates a text
    again and again, which the page's security policy forbids.
    """
    page.evaluate(
        f"""async (argument) => {{
            const test = {test}, end = Date.now() + 30_000;
            while (!test(argument)) {{
                if (Date.now() > end) throw new Error("it has never come true");
                await new Promise((again) => setTimeout(again, 20));
            }}
        }}""",
        argument,
    )


@dataclass(frozen=True, slots=True)
class Chat:
    page: Page
    server: ServerProcess
    complaints: list[str] = field(default_factory=list)
    """Errors in the console, and requests to anywhere else."""

    def open(self, preset: str = "echo", block: str | None = None) -> None:
        self.page.goto(f"{self.server.url}/c/{block}" if block else f"{self.server.url}/?preset={preset}")
        expect(self.box).to_be_visible()

    def send(self, text: str) -> None:
        self.box.fill(text)
        self.page.get_by_role("button", name="Send", exact=True).click()

    def send_behind(self, text: str) -> None:
        """Send a message while an answer is written: it waits."""
        self.box.fill(text)
        self.box.press("Enter")
        expect(self.page.get_by_role("list", name="Messages that wait")).to_contain_text(text)

    def ask(self, text: str, *, answers: int = 1) -> Locator:
        """Send a message, wait until there are that many answers and the last is new and complete; its text."""
        earlier = self.last_answer_id()
        self.send(text)
        self.wait(answers, after=earlier)
        return self.answers.last.locator(".parts")

    def wait(self, answers: int = 1, *, after: str | None = None) -> None:
        """Until there are that many answers and none is being written; the last is another one than `after`."""
        if after is not None:
            expect(self.answers.last).not_to_have_attribute("id", after)
        expect(self.answers).to_have_count(answers)
        expect(self.page.get_by_role("button", name="Send", exact=True)).to_be_visible()

    def last_answer_id(self) -> str | None:
        ids: list[str] = self.answers.evaluate_all("answers => answers.map((answer) => answer.id)")
        return ids[-1] if ids else None

    def until(self, expression: str) -> None:
        """Wait for what the page comes to on its own time, such as where it has scrolled to."""
        until(self.page, f"() => {expression}")

    def settle(self) -> None:
        """Let the browser paint what it knows."""
        self.js("new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown)))")

    def hold_the_list(self) -> None:
        """The list at the side is not looked up any more, which it otherwise is whenever it likes."""
        self.page.route(re.compile(r"/api/ai/conversations\?"), lambda _: None)

    def put_behind(self) -> None:
        """As a tab that is not looked at, which asks for nothing: a headless browser shows all its tabs at once."""
        self.js("Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })")

    def look_at(self) -> None:
        self.js("delete document.visibilityState; document.dispatchEvent(new Event('visibilitychange'))")

    @property
    def box(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    @property
    def questions(self) -> Locator:
        return self.page.locator(".question .bubble")

    @property
    def answers(self) -> Locator:
        return self.page.locator(".answer")

    @property
    def listed(self) -> Locator:
        """The titles of the conversations at the side."""
        return self.page.locator("#conversations .title")

    def shown(self) -> list[str]:
        return self.page.locator(".bubble, .parts > .prose").all_inner_texts()

    def stored(self) -> list[dict[str, Any]]:
        block = self.page.url.rpartition("/")[2]
        messages: list[dict[str, Any]] = self.page.request.get(
            f"{self.server.url}/api/ai/conversations/{block}", headers={"accept": "application/json"}
        ).json()["messages"]
        return messages

    def js(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def watch(self) -> None:
        def console(message: Any) -> None:
            # A stream that the page ends, by its `done` or by leaving, is a cancelled request and no mistake.
            if message.type in ("error", "warning") and "htmx:sse:error" not in message.text:
                self.complaints.append(f"{message.type}: {message.text}")

        self.page.on("console", console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))
        self.page.on(
            "request",
            lambda request: (
                request.url.startswith((self.server.url, "data:")) or self.complaints.append(f"request: {request.url}")
            ),
        )


class Cable:
    """What lies between browser and server, in a thread of its own; a test can cut it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.target: tuple[str, int] | None = None
        """Where it leads; None while it is cut."""
        self._ends: list[socket.socket] = []
        self._lock = Lock()
        """Held while a connection is made, so that no cut misses it."""
        self._thread = Thread(target=self._accept)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._listening.getsockname()[1]}"

    def plug(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "", parts.port or 80)

    def cut(self) -> None:
        with self._lock:
            self.target = None
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _accept(self) -> None:
        pumps = []
        with suppress(OSError):  # the end of the test
            while True:
                near, _ = self._listening.accept()
                with self._lock:
                    far = self._reach()
                    self._ends += [near, far] if far else []
                if far is None:
                    near.close()
                    continue
                pumps += [Thread(target=_pump, args=ends) for ends in ((near, far), (far, near))]
                for pump in pumps[-2:]:
                    pump.start()
        for pump in pumps:
            pump.join()
        for end in self._ends:
            end.close()

    def _reach(self) -> socket.socket | None:
        try:
            return socket.create_connection(self.target) if self.target else None
        except OSError:  # the server is gone, and nobody has cut the cable yet
            return None


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
