"""A `useChat` client: what AI SDK 6 makes of the stream (`process-ui-message-stream.ts`), and what it sends.

It is strict: a chunk that the real one chokes on, or that would run a tool twice, fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from itertools import count
from typing import Any

from starlette.testclient import TestClient

Part = dict[str, Any]

_numbers = count(1)
"""Of questions: no two clients send the same id."""

_TOOL_STATES = {
    "tool-output-available": "output-available",
    "tool-output-error": "output-error",
    "tool-output-denied": "output-denied",
}


class Reducer:
    """Chunks → one message."""

    def __init__(self, message: Mapping[str, Any] | None = None) -> None:
        """`message`: the one that is gone on with."""
        self.message: dict[str, Any] = deepcopy(dict(message or {"id": "", "role": "assistant", "parts": []}))
        self.error: str | None = None
        self.finished = False
        self.passing: list[dict[str, Any]] = []
        """Transient data parts."""
        self._going_on = message is not None
        self._open: dict[str, Part] = {}
        self._stepping = False
        self._input: dict[str, str] = {}

    def read(self, chunk: Mapping[str, Any]) -> None:
        assert self.error is None, "something behind an error"
        assert not self.finished, "something behind the end"
        kind = chunk["type"]
        if kind == "start":
            assert not self._going_on or chunk["messageId"] == self.message["id"], "another id for the same message"
            self.message["id"] = chunk["messageId"]
            self._merge(chunk)
        elif kind == "start-step":
            assert not self._stepping
            self._stepping = True
            self.message["parts"].append({"type": "step-start"})
        elif kind == "finish-step":
            assert self._stepping
            assert not self._open, "a part that is open at the end of its step"
            self._stepping = False
        elif kind == "finish":
            assert not self._stepping
            self.finished = True
            self._merge(chunk)
        elif kind == "message-metadata":
            self._merge(chunk)
        elif kind == "error":
            self.error = chunk["errorText"]
        elif kind.startswith("data-"):
            assert chunk["transient"]
            self.passing.append(dict(chunk["data"]))
        elif kind in ("source-url", "source-document", "file"):
            self.message["parts"].append(dict(chunk))
        elif kind.startswith(("text-", "reasoning-")):
            self._speech(chunk, *kind.split("-"))
        elif kind.startswith("tool-"):
            self._tool(chunk, kind)
        else:
            raise AssertionError(f"a chunk that no test expects: {kind}")

    def _merge(self, chunk: Mapping[str, Any]) -> None:
        if "messageMetadata" in chunk:
            self.message["metadata"] = {**self.message.get("metadata", {}), **chunk["messageMetadata"]}

    def _speech(self, chunk: Mapping[str, Any], kind: str, event: str) -> None:
        assert self._stepping, "text outside of a step"
        part_id = f"{kind} {chunk['id']}"
        if event == "start":
            assert part_id not in self._open
            self._open[part_id] = {"type": kind, "text": "", "state": "streaming"}
            self.message["parts"].append(self._open[part_id])
            return
        part = self._open[part_id]
        if "providerMetadata" in chunk:
            part["providerMetadata"] = chunk["providerMetadata"]
        if event == "delta":
            part["text"] += chunk["delta"]
        else:
            part["state"] = "done"
            del self._open[part_id]

    def _tool(self, chunk: Mapping[str, Any], kind: str) -> None:
        call_id = chunk.get("toolCallId")
        found = [part for part in self.message["parts"] if part.get("toolCallId") == call_id]
        part = found[0] if found else None
        if kind in ("tool-input-start", "tool-input-available", "tool-input-error"):
            assert self._stepping or self._going_on, "a call outside of a step"
            if part is None:
                part = self._begin(chunk)
            assert part["state"] == "input-streaming", "a call that is told twice"
            self._input.setdefault(str(call_id), "")
            if kind != "tool-input-start":
                self._known(part, chunk, failed=kind == "tool-input-error")
            return
        assert part is not None, "what came of a call that nobody knows"
        if kind == "tool-input-delta":
            self._input[str(call_id)] += chunk["inputTextDelta"]
        elif kind == "tool-approval-request":
            part.update(state="approval-requested", approval={"id": chunk["approvalId"]})
        else:
            part["state"] = _TOOL_STATES[kind]
            part.pop("output", None)
            part.pop("errorText", None)
            part.update({key: chunk[key] for key in ("output", "errorText") if key in chunk})

    def _begin(self, chunk: Mapping[str, Any]) -> Part:
        name = chunk["toolName"]
        kind = {"type": "dynamic-tool", "toolName": name} if chunk.get("dynamic") else {"type": f"tool-{name}"}
        part = {**kind, "toolCallId": chunk["toolCallId"], "state": "input-streaming"}
        self.message["parts"].append(part)
        return part

    def _known(self, part: Part, chunk: Mapping[str, Any], *, failed: bool) -> None:
        ours = not chunk.get("providerExecuted")
        streamed = self._input[part["toolCallId"]]
        if ours and streamed and not failed:
            assert json.loads(streamed) == chunk["input"], "other arguments than were streamed"
        if not ours:
            part["providerExecuted"] = True
        part.update(state="output-error" if failed else "input-available")
        part["rawInput" if failed and not isinstance(chunk["input"], dict) else "input"] = chunk["input"]
        if failed:
            part["errorText"] = chunk["errorText"]
        if "providerMetadata" in chunk:
            part["callProviderMetadata"] = chunk["providerMetadata"]


class UseChat:
    """One tab with a conversation."""

    def __init__(
        self, client: TestClient, block: str, preset: str, *, sdk: str = "6", message_only: bool = False
    ) -> None:
        """`message_only`: the app sends only what is new, not the whole history. `sdk` is the version it declares."""
        self.client = client
        self.preset = preset
        self.messages: list[dict[str, Any]] = []
        self.passing: list[dict[str, Any]] = []
        self.error: str | None = None
        self.status = 200
        self._block = block
        self._message_only = message_only
        self._sdk = sdk

    @property
    def last(self) -> dict[str, Any]:
        return self.messages[-1]

    @property
    def calls(self) -> list[Part]:
        """Of the last message."""
        return [part for part in self.last["parts"] if part["type"].startswith(("tool-", "dynamic-tool"))]

    @property
    def call_ids(self) -> list[str]:
        return [part["toolCallId"] for part in self.calls]

    @property
    def text(self) -> str:
        return "".join(part["text"] for part in self.last["parts"] if part["type"] == "text")

    def send(self, text: str, **body: Any) -> None:
        """A question, to its answer's end. It must end well."""
        self.try_to_send(text, **body)
        assert (self.status, self.error) == (200, None)

    def try_to_send(self, text: str, **body: Any) -> None:
        question = {"id": f"u{next(_numbers)}", "role": "user", "parts": [{"type": "text", "text": text}]}
        self.messages.append(question)
        self._post({"trigger": "submit-message", **body})

    def answer_approvals(self, *approved: bool) -> None:
        """Say yes or no to what the last message asks for, in its order; then the app goes on by itself."""
        asked = [part for part in self.calls if part["state"] == "approval-requested"]
        for part, yes in zip(asked, approved, strict=True):
            part["state"] = "approval-responded"
            part["approval"] = {**part["approval"], "approved": yes}
        self.go_on()

    def go_on(self) -> None:
        """Continue the last answer."""
        self._post({"trigger": "submit-message", "messageId": self.last["id"]})
        assert (self.status, self.error) == (200, None)

    def regenerate(self) -> None:
        """The last answer, made anew."""
        answer = self.messages.pop()
        self._post({"trigger": "regenerate-message", "messageId": answer["id"]})
        assert (self.status, self.error) == (200, None)

    def edit(self, place: int, text: str) -> None:
        """A question asked differently; what followed is gone."""
        question = self.messages[place]
        self.messages = [*self.messages[:place], {**question, "parts": [{"type": "text", "text": text}]}]
        self._post({"trigger": "submit-message", "messageId": question["id"]})
        assert (self.status, self.error) == (200, None)

    def reload(self) -> None:
        """A new page: it knows what the server has."""
        self.messages = self.stored()

    def stored(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.client.get(f"/api/ai/conversations/{self._block}").json()["messages"]
        return messages

    def _post(self, body: Mapping[str, Any]) -> None:
        sent = {"message": self.last} if self._message_only else {"messages": self.messages}
        answer = self.client.post(
            f"/api/ai/chat/{self._block}",
            params={"preset": self.preset, "sdk": self._sdk},
            json={"id": self._block, **sent, **body},
        )
        self.status, self.error = answer.status_code, None
        if answer.status_code != 200:
            self.error = answer.text
            return
        going_on = self.messages.pop() if self.last["role"] == "assistant" else None
        reducer = Reducer(going_on)
        for chunk in chunks_of(answer.text):
            reducer.read(chunk)
        assert reducer.finished or reducer.error is not None
        self.error = reducer.error
        self.passing = reducer.passing
        self.messages.append(reducer.message)


def chunks_of(stream: str) -> Sequence[dict[str, Any]]:
    """The chunks of a whole response, which must end with its end mark."""
    *frames, done, rest = stream.split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames if frame.startswith("data: ")]
