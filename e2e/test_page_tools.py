"""Tools on the htmx page: cards that grow, results that can be read, and nothing that runs without its yes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from e2e.chat_page import Chat
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Upstream, chat_answer, chat_chunk, chat_frames

CONFIG = """
[settings]
"ai:preset" = "echo"

[tools]
modules = ["./shop.py"]

[tools.client.pick_colour]
description = "A tool of some other front end"

[presets.echo]
provider = "echo"
tools = ["*"]
tool_policy = {{ sell = "ask", burn = "ask" }}

[presets.fake]
provider = "openai-chat"
base_url = "{upstream}/v1"
api_key_env = "FAKE_KEY"
model = "tiny"
tools = ["*"]
tool_policy = {{ sell = "ask" }}
"""

SHOP = '''
import asyncio
from urllib.request import urlopen

from app.core.tools import ToolFailure, ToolFile, ToolOutput, ToolSource


async def stock() -> list[dict]:
    """Tell what there is."""
    return [{{"what": "tea", "boxes": 3}}, {{"what": "<b>salt</b>", "boxes": 12}}]


async def weigh(what: str = "tea") -> str:
    """Wait until the scales have settled."""
    return await asyncio.to_thread(lambda: urlopen("{upstream}/scales", b"?").read().decode())


async def count(up_to: int) -> str:
    """Count."""
    return "\\n".join(map(str, range(up_to)))


async def spill() -> str:
    """Fail."""
    raise ToolFailure("The tea is on the floor.")


async def draw() -> ToolOutput:
    """Draw a box of tea."""
    picture = bytes.fromhex("{png}")
    return ToolOutput("drawn", (ToolFile("image/png", picture),), (ToolSource("https://example.org/tea", "Tea"),))


async def sell(what: str = "tea") -> str:
    """Sell something."""
    return f"sold {{what}}"


async def burn(what: str = "tea") -> str:
    """Burn something."""
    return f"burnt {{what}}"
'''

PNG = (
    "89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a730000001249444154789c63f8cfc0c0f09f01840100"
    "1bf402fe5b0fbfb40000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with shop(tmp_path_factory.mktemp("shop"), upstream) as running:
        yield running


def shop(folder: Path, upstream: Upstream) -> Any:
    (folder / "shop.py").write_text(SHOP.format(upstream=upstream.url, png=PNG))
    config = CONFIG.format(upstream=upstream.url)
    return server_process(folder, config=config, environment={"FAKE_KEY": "not-a-key"})


def calling(name: str, *arguments: str, call_id: str = "call_000001") -> list[bytes]:
    """An answer that calls a tool, its arguments in pieces."""
    function: list[dict[str, Any]] = [{"name": name, "arguments": ""}, *({"arguments": piece} for piece in arguments)]
    calls = [{"index": 0, "function": piece} for piece in function]
    calls[0] |= {"id": call_id, "type": "function"}
    return chat_frames([*(chat_chunk({"tool_calls": [call]}) for call in calls), chat_chunk({}, "tool_calls")])


def card(chat: Chat, number: int = -1) -> Locator:
    return chat.answers.last.locator(".tool").nth(number)


def button(chat: Chat, name: str) -> Locator:
    return chat.answers.last.get_by_role("button", name=name)


def test_a_card_grows_with_its_call(chat: Chat, upstream: Upstream) -> None:
    frames, gates = calling("weigh", '{"what": "a pound', ' of tea"}'), [Gate(), Gate(), Gate()]
    upstream.reply(
        [*frames[:2], gates[0], frames[2], gates[1], *frames[3:]],
        [gates[2], b"451 g"],
        chat_answer("A bit less."),
    )
    chat.open("fake")
    chat.send("Weigh it")
    expect(card(chat)).to_contain_text("weigh Preparing…")
    card(chat).locator("summary").click()
    expect(card(chat).get_by_role("group", name="Arguments")).to_have_text('{"what": "a pound')
    gates[0].open()
    expect(card(chat).get_by_role("group", name="Arguments")).to_have_text('{"what": "a pound of tea"}')
    gates[1].open()
    expect(card(chat)).to_contain_text("Running…")
    gates[2].open()
    expect(card(chat).get_by_role("group", name="Result")).to_have_text("451 g")
    expect(card(chat)).to_contain_text("Done")
    chat.wait()
    expect(chat.answers.locator(".prose")).to_have_text("A bit less.")
    expect(card(chat).locator("details")).to_have_attribute("open", "")


def test_results_are_shown_as_what_they_are_and_the_same_after_a_reload(chat: Chat) -> None:
    chat.open()
    for number, name in enumerate(["stock {}", "spill {}", "draw {}"]):
        chat.ask(f"tool {name}", answers=number + 1)
    for _ in range(2):
        stock, spill, draw = (chat.answers.nth(number).locator(".tool") for number in range(3))
        stock.locator("summary").click()
        expect(stock.get_by_role("row")).to_have_count(3)
        expect(stock.get_by_role("cell", name="<b>salt</b>")).to_be_visible()
        expect(spill).to_contain_text("Failed")
        spill.locator("summary").click()
        expect(spill.get_by_text("The tea is on the floor.")).to_be_visible()
        expect(draw).to_contain_text("Done")
        picture = chat.answers.nth(2).get_by_role("img", name="Generated image")
        expect(picture).to_be_visible()
        assert picture.evaluate("image => image.naturalWidth") == 2
        expect(chat.answers.nth(2).get_by_role("link", name="Tea")).to_have_attribute("href", "https://example.org/tea")
        chat.page.reload()


@pytest.mark.parametrize("width", [390, 1280])
def test_long_results_scroll_in_their_own_box(chat: Chat, upstream: Upstream, width: int) -> None:
    chat.page.set_viewport_size({"width": width, "height": 800})
    upstream.reply(calling("count", '{"up_to": 500}'), calling("sell", json.dumps({"what": "x" * 3000})))
    chat.open("fake")
    chat.ask("Count, then sell")
    card(chat, 0).locator("summary").click()
    result = card(chat, 0).get_by_role("group", name="Result")
    assert result.bounding_box()["height"] < 400  # type: ignore[index]
    result.focus()
    chat.page.keyboard.press("End")
    expect(button(chat, "Approve")).to_be_visible()
    assert chat.js("document.scrollingElement.scrollWidth") <= width


def test_nothing_runs_before_the_yes(chat: Chat) -> None:
    chat.open()
    chat.ask('tool sell {"what": "the shop"}')
    expect(card(chat)).to_contain_text("Asks for your approval")
    expect(card(chat)).to_contain_text('"what": "the shop"')
    assert "sold" not in chat.page.content()
    button(chat, "Approve").click()
    expect(card(chat)).to_contain_text("Done")
    chat.wait()
    expect(chat.answers.locator(".prose")).to_contain_text("sold the shop")
    expect(chat.box).to_be_focused()
    expect(button(chat, "Approve")).to_have_count(0)


def test_after_a_no_the_model_knows_and_nothing_has_run(chat: Chat) -> None:
    chat.open()
    chat.ask("tool sell {}")
    button(chat, "Deny").click()
    expect(card(chat)).to_contain_text("Not allowed")
    chat.wait()
    expect(chat.answers.locator(".prose")).to_contain_text("did not allow")
    chat.page.reload()
    expect(card(chat)).to_contain_text("Not allowed")
    expect(button(chat, "Approve")).to_have_count(0)


def test_what_is_always_allowed_is_not_asked_about_again_in_this_conversation(chat: Chat) -> None:
    chat.open()
    chat.ask("tool sell {}")
    button(chat, "Always in this conversation").click()
    expect(card(chat)).to_contain_text("Done")
    chat.wait()
    chat.ask("tool sell {}", answers=2)
    expect(card(chat)).to_contain_text("Done")
    chat.ask("tool burn {}", answers=3)
    expect(card(chat)).to_contain_text("Asks for your approval")
    chat.open()
    chat.ask("tool sell {}")
    expect(card(chat)).to_contain_text("Asks for your approval")


def test_two_requests_are_answered_by_keyboard_alone(chat: Chat, upstream: Upstream) -> None:
    both = calling("sell", '{"what": "tea"}')[:-2] + [
        frame.replace(b'"index": 0, "function"', b'"index": 1, "function"')
        for frame in calling("sell", '{"what": "salt"}', call_id="call_000002")
    ]
    upstream.reply(both, chat_answer("Sold."))
    chat.open("fake")
    chat.ask("Sell both")
    expect(button(chat, "Approve")).to_have_count(2)
    press = chat.page.keyboard.press
    while not chat.js("document.activeElement.matches('[name=approve]')"):
        press("Shift+Tab")
    press("Enter")
    expect(card(chat, 1)).to_contain_text("Done")
    chat.wait()
    expect(card(chat, 0).locator("summary")).to_be_focused()
    while not chat.js("document.activeElement.matches('[name=approve]')"):
        press("Tab")
    assert chat.js("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press("Space")
    expect(chat.answers.locator(".prose")).to_have_text("Sold.")
    chat.wait()
    expect(chat.box).to_be_focused()
    assert [card(chat, number).inner_text().count("Done") for number in (0, 1)] == [1, 1]


def test_a_request_is_answered_in_another_browser_after_a_restart(
    browser: Browser, upstream: Upstream, tmp_path: Path
) -> None:
    with shop(tmp_path, upstream) as server:
        first = Chat(browser.new_page(), server)
        first.open()
        first.ask("tool sell {}")
        block = first.page.url.rpartition("/")[2]
        first.page.close()
        server.kill()
    with shop(tmp_path, upstream) as server, browser.new_context() as context:
        second = Chat(context.new_page(), server)
        second.open(block=block)
        button(second, "Approve").click()
        expect(card(second)).to_contain_text("Done")
        second.wait()
        expect(second.answers.locator(".prose")).to_contain_text("sold tea")


def test_a_tab_that_answers_what_another_one_has_answered_shows_what_came_of_it(chat: Chat) -> None:
    chat.open()
    chat.ask("tool sell {}")
    other = Chat(chat.page.context.new_page(), chat.server, chat.complaints)
    other.open(block=chat.page.url.rpartition("/")[2])
    chat.put_behind()
    button(other, "Deny").click()
    expect(card(other)).to_contain_text("Not allowed")
    other.wait()
    button(chat, "Approve").click()
    expect(card(chat)).to_contain_text("Not allowed")
    chat.wait()
    expect(chat.answers.locator(".prose")).to_contain_text("did not allow")


def test_a_tab_that_is_looked_at_again_shows_what_another_one_has_answered(chat: Chat) -> None:
    chat.open()
    chat.ask("tool sell {}")
    other = Chat(chat.page.context.new_page(), chat.server, chat.complaints)
    other.open(block=chat.page.url.rpartition("/")[2])
    chat.put_behind()
    button(other, "Approve").click()
    expect(card(other)).to_contain_text("Done")
    other.wait()
    chat.look_at()
    expect(card(chat)).to_contain_text("Done")


def test_another_question_is_a_no(chat: Chat) -> None:
    chat.open()
    chat.ask("tool sell {}")
    chat.ask("say never mind", answers=2)
    for _ in range(2):
        expect(chat.answers.first.locator(".tool")).to_contain_text("Not allowed")
        expect(chat.page.get_by_role("button", name="Approve")).to_have_count(0)
        chat.page.reload()


def test_a_call_that_is_stopped_says_so(chat: Chat, upstream: Upstream) -> None:
    scales = Gate()
    upstream.reply(calling("weigh", "{}"), [scales, b"451 g"])
    chat.open("fake")
    chat.send("Weigh it")
    expect(card(chat)).to_contain_text("Running…")
    chat.page.get_by_role("button", name="Stop").click()
    chat.wait()
    expect(card(chat)).to_contain_text("Stopped")
    expect(chat.answers).to_contain_text("Stopped.")
    scales.open()


def test_a_tool_of_another_front_end_gives_no_result_here(chat: Chat) -> None:
    chat.open()
    chat.ask("tool pick_colour {}")
    expect(card(chat)).to_contain_text("No result")
    chat.page.reload()
    expect(card(chat)).to_contain_text("No result")


def test_nothing_that_stands_in_a_call_runs(chat: Chat, upstream: Upstream) -> None:
    hostile = "</pre></hx-partial><script>window.owned = 1</script><img src=x onerror='window.owned = 1'>"
    upstream.reply(calling("sell", json.dumps({"what": hostile})), chat_answer("Sold."))
    chat.open("fake")
    chat.ask("Sell it")
    expect(card(chat)).to_contain_text(json.dumps(hostile))
    button(chat, "Approve").click()
    expect(chat.answers).to_contain_text("Sold.")
    chat.wait()
    card(chat).locator("summary").click()
    expect(card(chat).get_by_role("group", name="Result")).to_have_text(f"sold {hostile}")
    chat.page.reload()
    expect(chat.answers).to_contain_text("Sold.")
    assert chat.js("window.owned") is None


def test_without_javascript_a_form_answers(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        chat = Chat(context.new_page(), server)
        chat.open()
        chat.send("tool sell {}")
        expect(card(chat)).to_contain_text("Asks for your approval")
        button(chat, "Approve").click()
        expect(card(chat)).to_contain_text("Done")
        expect(chat.answers.locator(".prose")).to_contain_text("sold tea")


def test_the_demo_shows_its_tools(page: Page, tmp_path: Path) -> None:
    with server_process(tmp_path, config='[presets.default]\nprovider = "echo"\ntools = ["*"]') as server:
        chat = Chat(page, server)
        chat.open("default")
        page.get_by_role("button", name="Let it use tools").click()
        chat.wait()
        expect(chat.answers.locator(".tool")).to_contain_text(["current time", "calculate"])
        expect(chat.answers.locator(".tool-state")).to_contain_text(["Done", "Done"])
