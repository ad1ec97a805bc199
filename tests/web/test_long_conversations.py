"""Long conversations over HTTP: page by page, and large bodies read aside."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

URL = "/api/ai/conversations/chat-1"


def save(client: TestClient, count: int) -> None:
    messages = [
        {"id": f"m{n}", "role": ("user", "assistant")[n % 2], "parts": [{"type": "text", "text": f"This is {n}."}]}
        for n in range(count)
    ]
    assert client.post(URL, json={"messages": messages}).status_code == 200


def ids(page: dict) -> list[str]:
    return [message["id"] for message in page["messages"]]


def test_a_conversation_comes_page_by_page_from_its_end(client: TestClient) -> None:
    save(client, 5)
    last = client.get(URL, params={"limit": 2}).json()
    middle = client.get(URL, params={"limit": 2, "before": last["earlier"]}).json()
    first = client.get(URL, params={"limit": 2, "before": middle["earlier"]}).json()
    assert [ids(page) for page in (last, middle, first)] == [["m3", "m4"], ["m1", "m2"], ["m0"]]
    assert "earlier" not in first


def test_without_a_limit_it_comes_whole(client: TestClient) -> None:
    save(client, 3)
    whole = client.get(URL).json()
    assert (ids(whole), "earlier" in whole) == (["m0", "m1", "m2"], False)


def test_a_limit_or_a_place_that_is_none_is_refused(client: TestClient) -> None:
    save(client, 1)
    for name, value in (("limit", "0"), ("limit", "201"), ("limit", "x"), ("before", "x"), ("before", "4711")):
        answer = client.get(URL, params={name: value})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)


def test_a_large_body_with_a_mistake_is_refused_by_name_too(client: TestClient) -> None:
    good = {"id": "m", "role": "user", "parts": [{"type": "text", "text": "x" * 1_000}]}
    body = {"messages": [good] * 300 + [{**good, "parts": [{"type": "text", "text": 1}]}]}
    answer = client.post(URL, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "messages[300].parts[0].text")


def test_a_part_begins_with_a_message_and_leads_on_to_what_is_shown(client: TestClient) -> None:
    save(client, 130)
    before = re.search(r"before=(\d+)", client.get("/c/chat-1").text)[1]

    def part(**query: str) -> tuple[list[int], list[str]]:
        html = client.get("/c/chat-1", params={"before": before, **query}, headers={"hx-request": "true"}).text
        shown = [int(number) for number in re.findall(r'class="message [^>]*id="m-m(\d+)"', html)]
        return shown, re.findall(r'(?<=after=)[\w-]+(?=" hx-get)|Show earlier', html)

    assert part(at="m-m21") == ([*range(21, 61)], ["Show earlier", "m-m60"])
    assert part(after="m-m60") == ([*range(61, 90)], [])
    assert part(at="m-m0") == ([*range(40)], ["m-m39"])
    assert part(at="nobody") == ([*range(50, 90)], ["Show earlier"])


def test_a_part_of_long_messages_is_short_and_holds_the_one_that_is_sought(client: TestClient) -> None:
    messages = [
        {"id": f"m{n}", "role": ("user", "assistant")[n % 2], "parts": [{"type": "text", "text": "words " * 5_000}]}
        for n in range(20)
    ]
    assert client.post(URL, json={"messages": messages}).status_code == 200
    before = re.search(r"before=(\d+)", client.get("/c/chat-1").text)[1]
    html = client.get(f"/c/chat-1?before={before}&at=m-m4", headers={"hx-request": "true"}).text
    assert re.findall(r'class="message [^>]*id="m-(m\d+)"', html) == ["m4", "m5"]
