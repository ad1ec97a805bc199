"""What was said is still there tomorrow, however the server ended."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from tests.server_process import ServerProcess, server_process


def say(server: ServerProcess, text: str) -> HTTPResponse:
    """Post a turn; the caller reads the answer as it comes."""
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    request = urllib.request.Request(
        f"{server.url}/api/ai/chat/diary?protocol=text", body, {"content-type": "application/json"}
    )
    return urllib.request.urlopen(request)


def messages(server: ServerProcess) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/api/ai/conversations/diary") as answer:
        return json.load(answer)["messages"]


def text_of(message: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in message["parts"])


def test_a_conversation_outlives_a_restart(tmp_path: Path) -> None:
    with server_process(tmp_path) as server:
        with say(server, "say Hello, diary!") as answer:
            assert answer.read() == b"Hello, diary!"
        before = messages(server)
    with server_process(tmp_path) as server:
        assert messages(server) == before
    assert [text_of(message) for message in before] == ["say Hello, diary!", "Hello, diary!"]


def test_a_finished_turn_outlives_a_power_cut(tmp_path: Path) -> None:
    with server_process(tmp_path) as server:
        with say(server, "say Hello, diary!") as answer:
            answer.read()
        server.kill()
    with server_process(tmp_path) as server:
        assert [text_of(message) for message in messages(server)] == ["say Hello, diary!", "Hello, diary!"]


def test_a_question_outlives_a_power_cut_in_mid_answer(tmp_path: Path) -> None:
    with server_process(tmp_path) as server, say(server, "slow 500") as answer:
        assert answer.read(1)
        server.kill()
    with server_process(tmp_path) as server:
        question, *rest = messages(server)
        assert text_of(question) == "slow 500"
        assert all(message["metadata"]["status"] == "interrupted" for message in rest)


def test_an_answer_in_the_making_is_kept_when_the_server_is_told_to_end(tmp_path: Path) -> None:
    with server_process(tmp_path) as server, say(server, "slow 500") as answer:
        assert answer.read(1)
    with server_process(tmp_path) as server:
        question, partial = messages(server)
        assert text_of(question) == "slow 500"
        assert text_of(partial)
        assert partial["metadata"]["status"] in ("stopped", "interrupted")
