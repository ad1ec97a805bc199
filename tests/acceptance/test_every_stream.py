"""Every stream that the adapters are tested with, through the whole server and back to its service: in the next turn of
the same tab, of a program, and after a reload it says the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tests.acceptance import anthropic
from tests.acceptance.conftest import TOOLS, application
from tests.acceptance.said import Said, calling
from tests.acceptance.services import SERVICES, canonical
from tests.acceptance.use_chat import UseChat
from tests.upstream import FIXTURES, Reply, Upstream, fixture

FOLDERS = {
    "openai_responses": "openai",
    "openai_chat": "openai-chat",
    **{name: name for name in SERVICES},
    "llamacpp": "openai-chat",
    "moonshot": "openai-chat",
}
LATE = [frame.replace(b"srvtoolu_99", b"srvtoolu_01") for frame in fixture("anthropic/late_result.jsonl")]
AGAIN = {
    "type": "tool_use",
    "id": "toolu_0123456",
    "name": "rain",
    "input": {"city": "Tromsø"},
    "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_01"},
}
GOES_ON_WITH = {"anthropic/code_that_calls.jsonl": [anthropic.whole([AGAIN], "tool_use"), LATE]}
"""The service's own code waits for two calls of ours: what came of it is told two answers later."""
STREAMS = sorted(
    str(file.relative_to(FIXTURES)) for folder in FOLDERS for file in Path(FIXTURES / folder).glob("*.jsonl")
)


def shown(message):
    """The parts that a client gets: what a service wants back with its own tools' results is the server's to keep."""
    return [{key: value for key, value in part.items() if key != "resultProviderMetadata"} for part in message["parts"]]


@pytest.fixture(scope="module")
def everywhere() -> Iterator[Upstream]:
    """All services at one address."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def house(everywhere: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("palaver")
    (folder / "weather.py").write_text(TOOLS)
    with application(folder, "".join(service.preset(everywhere) for service in SERVICES.values())) as client:
        yield client


@pytest.mark.parametrize("stream", STREAMS)
def test_what_an_answer_said_is_said_again_in_the_same_words(stream, everywhere, house):
    service = SERVICES[FOLDERS[stream.partition("/")[0]]]
    begin = len(everywhere.requests)
    everywhere.otherwise = lambda request: Reply(
        service.dialect.frames(Said(f"Answer {len(everywhere.requests)}.", number=len(everywhere.requests)))
    )
    everywhere.reply(fixture(stream), *GOES_ON_WITH.get(stream, ()))
    block = stream.replace("/", ":")
    tab = UseChat(house, block, service.provider)
    tab.try_to_send("How is it?")
    asked = len(everywhere.requests) - begin
    tab.send("And then?")
    assert [message["parts"] for message in tab.messages] == [shown(message) for message in tab.stored()]
    says_something = any(part["type"] != "step-start" for part in tab.messages[1]["parts"])
    UseChat(house, block, service.provider, message_only=True).send("And after that?")
    tab.reload()
    tab.send("And at last?")
    bodies = [request.json for request in everywhere.requests[begin:]]
    for body in bodies:
        service.check(body)
    rows = [[canonical(item) for item in service.dialect.prompt(body)] for body in bodies]
    assert len(rows) == asked + 3
    if not says_something:  # it is left out, and the next question joins the one before
        del rows[:asked]
    assert [place for place, (row, then) in enumerate(pairwise(rows)) if then[: len(row)] != row] == []


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_01", "name": "web_search", "input": {"query": "rain"}}
PAGE = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "ZW4="}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_01", "content": [PAGE]}


@pytest.mark.parametrize("tool", ["rain", "launch"])
def test_a_search_beside_a_call_of_ours_waits_for_it_and_is_answered_after_it(tool, upstream, palaver, ran):
    """Anthropic runs its own tool with the next request, which must hold the call as it came and only results behind
    it; what was found begins the next answer, and so it goes back. `launch` waits for the user's yes.
    """
    service = SERVICES["anthropic"]
    asked = calling(1, tool, thought="Both.")
    thought, call = (block for _, block in service.dialect.sent_back(asked, [""])[:2])
    text = {"type": "text", "text": "It rains."}
    upstream.reply(anthropic.whole([thought, SEARCH, call], "tool_use"), anthropic.whole([FOUND, text], "end_turn"))
    with palaver(service.preset(upstream)) as client:
        tab = UseChat(client, "b1", "anthropic")
        tab.send("How is it?")
        if tool == "launch":
            tab.answer_approvals(True)
        (searched,) = [part for part in tab.calls if part["type"] == "tool-web_search"]
        assert searched["state"] == "output-available"
        assert searched["output"][0]["url"] == "https://a.example"
        assert tab.last["parts"] == shown(tab.stored()[-1])
    with palaver(service.preset(upstream)) as client:
        UseChat(client, "b1", "anthropic", message_only=True).send("Thanks.")
    for request in upstream.requests:
        service.check(request.json)
    rows = [service.dialect.prompt(request.json) for request in upstream.requests]
    assert ran() == [f"{tool} Tromsø"]
    assert rows[1][-4:-1] == [("assistant", thought), ("assistant", SEARCH), ("assistant", call)]
    assert rows[2] == [*rows[1], ("assistant", FOUND), ("assistant", text), service.dialect.question("Thanks.")]
