"""What the tests of the React page share: `useChat` of one generation of the AI SDK, as a person uses it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from tests.server_process import ServerProcess

SDKS = (4, 5, 6, 7)


@dataclass(frozen=True, slots=True)
class ReactChat:
    """The page of e2e/react, as a person uses it."""

    page: Page
    react_app: str
    server: ServerProcess
    sdk: int
    block: str = field(default_factory=lambda: f"react-{token_hex(4)}")
    posts: list[Request] = field(default_factory=list)
    """The chat requests that the client has made, on its own account or not, where a test watches with `note`."""

    def open(self, preset: str = "echo", **more: str) -> None:
        query = {"client": f"sdk{self.sdk}", "server": self.server.url, "block": self.block, "preset": preset, **more}
        self.page.goto(f"{self.react_app}/?{urlencode(query)}")
        expect(self.main).to_be_visible()

    def send(self, text: str) -> None:
        self.page.get_by_label("Message").fill(text)
        self.press("Send")

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()

    def ask(self, text: str, *, answers: int = 1) -> Locator:
        """Send a message, wait until the conversation has that many answers and the last is complete."""
        self.send(text)
        expect(self.answers).to_have_count(answers)
        expect(self.main).to_have_attribute("data-status", "ready")
        return self.answers.last

    def note(self, request: Request) -> None:
        if request.method == "POST" and urlsplit(request.url).path.endswith(f"/chat/{self.block}"):
            self.posts.append(request)

    @property
    def main(self) -> Locator:
        return self.page.locator("main")

    @property
    def answers(self) -> Locator:
        return self.page.locator("li[data-role=assistant]")

    def calls(self, name: str) -> Locator:
        """The cards of the calls of one tool."""
        return self.page.get_by_label(name, exact=True)

    @property
    def alert(self) -> Locator:
        return self.page.get_by_role("alert")

    def shown(self) -> list[tuple[str, str]]:
        """Role and text, thinking included, of every message."""
        messages = self.page.locator("li").all()
        return [(message.get_attribute("data-role") or "", message.inner_text()) for message in messages]

    def metadata(self, answer: Locator) -> dict[str, Any]:
        value = json.loads(answer.get_attribute("data-metadata") or "{}")
        if isinstance(value, list):  # SDK 4 has a list of annotations
            return {key: each for annotation in value for key, each in annotation.items()}
        return value

    def stored(self) -> list[dict[str, Any]]:
        """The conversation as the server has it."""
        response = self.page.request.get(f"{self.server.url}/api/ai/conversations/{self.block}")
        return response.json()["messages"]


def with_sdk(*sdks: int) -> pytest.MarkDecorator:
    """Run the test once with each of these, as its fixture `sdk`."""
    return pytest.mark.parametrize("sdk", sdks, ids=lambda sdk: f"sdk{sdk}")


every_sdk = with_sdk(*SDKS)
