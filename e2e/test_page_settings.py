"""The settings of a conversation and of the server, as a person uses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from e2e.chat_page import Chat
from tests.server_process import ServerProcess, server_process

WIDTHS = (320, 390, 1280)

DEMO = """
[presets.default]
provider = "echo"
"""
"""Who answers where nobody has a key or a model, whatever this machine has."""


def panel(chat: Chat) -> Locator:
    """The settings beside the open conversation."""
    chat.page.locator("#to-settings").click()
    dialog = chat.page.get_by_role("dialog", name="Settings of the conversation")
    expect(dialog).to_be_visible()
    return dialog


def block_of(chat: Chat) -> dict[str, object]:
    block = chat.page.url.rpartition("/")[2]
    metadata: dict[str, object] = chat.page.request.get(f"{chat.server.url}/api/ai/blocks/{block}").json()["metadata"]
    return metadata


def is_too_wide(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.body.clientWidth"))


def test_what_is_set_in_the_panel_holds_for_the_next_answer(chat: Chat) -> None:
    chat.open()
    chat.ask("hello")
    dialog = panel(chat)
    dialog.get_by_label("Preset", exact=True).select_option("parrot")
    dialog.get_by_label("Model", exact=True).fill("mine")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    expect(chat.page.get_by_label("Preset: who answers")).to_have_value("parrot")
    assert block_of(chat) == {"ai:preset": "parrot", "ai:model": "mine"}
    chat.ask("again", answers=2)
    expect(chat.answers.last).to_contain_text("mine ·")


def test_settings_made_before_the_first_message_are_kept(chat: Chat) -> None:
    chat.open()
    dialog = panel(chat)
    dialog.get_by_label("Model", exact=True).fill("early")
    dialog.get_by_role("button", name="Save").click()
    expect(chat.page).to_have_url(re.compile(r"/c/chat-"))
    chat.ask("hello")
    expect(chat.answers.last).to_contain_text("early ·")


def test_the_panel_is_left_by_escape_by_its_button_and_by_a_click_beside_it(chat: Chat) -> None:
    chat.open()
    dialog = panel(chat)
    chat.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(chat.page.locator("#to-settings")).to_be_focused()
    panel(chat).get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    panel(chat)
    chat.page.mouse.click(300, 400)
    expect(dialog).to_be_hidden()


def test_another_preset_shows_what_it_brings_and_what_was_typed_stays(chat: Chat) -> None:
    chat.open()
    dialog = panel(chat)
    dialog.get_by_label("Temperature").fill("0.2")
    dialog.get_by_label("Preset", exact=True).select_option("fake-openai")
    expect(dialog.get_by_label("Model", exact=True)).to_have_attribute("placeholder", "tiny")
    expect(dialog.get_by_label("Temperature")).to_have_value("0.2")
    expect(dialog.locator("datalist option")).to_have_attribute("value", "tiny")  # what its service has
    dialog.get_by_text("Why: each value and who set it").click()
    expect(dialog.get_by_role("row", name="Temperature")).to_contain_text("from this conversation")
    expect(dialog.get_by_role("row", name="Model")).to_contain_text("from the preset fake-openai")


def test_why_comes_into_sight_when_it_is_opened(chat: Chat) -> None:
    chat.page.set_viewport_size({"width": 1280, "height": 600})
    chat.open()
    dialog = panel(chat)
    dialog.get_by_text("Why: each value and who set it").click()
    expect(dialog.get_by_role("row", name="Preset")).to_be_in_viewport()


def test_what_is_typed_while_another_preset_is_looked_up_stays(chat: Chat) -> None:
    chat.open()
    dialog = panel(chat)
    asked = list[Route]()

    def hold(route: Route) -> None:
        asked.append(route)

    chat.page.route("**/settings?preview=true", hold)
    with chat.page.expect_request("**/settings?preview=true"):
        dialog.get_by_label("Preset", exact=True).select_option("fake-openai")
    dialog.get_by_label("Temperature").fill("0.2")
    dialog.get_by_label("Model", exact=True).fill("mine")
    asked[0].continue_()
    expect(dialog.get_by_label("Model", exact=True)).to_have_attribute("placeholder", "tiny")
    expect(dialog.get_by_label("Temperature")).to_have_value("0.2")
    expect(dialog.get_by_label("Model", exact=True)).to_have_value("mine")


def test_what_is_wrong_is_told_at_its_field(page: Page, server: ServerProcess) -> None:
    chat = Chat(page, server)
    chat.open()
    dialog = panel(chat)
    dialog.get_by_label("Longest answer").fill("many")
    dialog.get_by_role("button", name="Save").click()
    field = dialog.get_by_label("Longest answer")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description("Must be a whole number from 1 to 10,000,000.")
    field.fill("50")
    dialog.get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile(r"/c/chat-"))
    assert block_of(chat) == {"ai:maxtokens": 50}


def test_what_few_need_is_folded_and_set_there(chat: Chat) -> None:
    chat.open()
    chat.ask("hello")
    dialog = panel(chat)
    expect(dialog.get_by_label("Stop words")).to_be_hidden()
    dialog.get_by_text("More", exact=True).click()
    dialog.get_by_label("Stop words").fill("END\nHALT")
    dialog.get_by_label("Top p").fill("0.5")
    dialog.get_by_label("Prompt cache").select_option("1h")
    dialog.get_by_label("Most steps").fill("99")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_label("Most steps")).to_be_focused()
    chat.complaints.clear()  # the browser notes that it got a 400
    dialog.get_by_label("Most steps").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert block_of(chat) == {"ai:stop": ["END", "HALT"], "ai:topp": 0.5, "ai:cache": "1h", "ai:maxsteps": 3}
    dialog = panel(chat)
    expect(dialog.get_by_label("Stop words")).to_have_value("END\nHALT")
    expect(dialog.get_by_label("Top p")).to_have_accessible_description(re.compile("from this conversation"))


def test_always_allow_can_be_taken_back(chat: Chat) -> None:
    chat.open("tools")
    chat.send("approve")
    always = chat.page.get_by_role("button", name="Always in this conversation")
    always.click()
    expect(always).to_have_count(0)
    chat.wait()
    dialog = panel(chat)
    rule = dialog.get_by_label("fetch page")
    expect(rule).to_have_value("auto")
    rule.select_option("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    assert "ai:toolpolicy" not in block_of(chat)
    chat.send("approve")
    expect(chat.page.get_by_role("button", name="Approve")).to_be_visible()


def test_without_javascript_the_settings_are_a_page(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        chat = Chat(context.new_page(), server)
        chat.open()
        chat.page.get_by_role("link", name="Settings of the conversation").click()
        chat.page.get_by_label("Temperature").fill("9")
        chat.page.get_by_role("button", name="Save").click()
        expect(chat.page.get_by_text("Must be a number from 0 to 2.")).to_be_visible()
        chat.page.get_by_label("Temperature").fill("0.5")
        chat.page.get_by_role("button", name="Save").click()
        expect(chat.page).to_have_url(re.compile(r"/c/chat-[\w-]+$"))
        assert block_of(chat) == {"ai:temperature": 0.5}


def test_the_settings_page_asks_each_service(chat: Chat) -> None:
    chat.page.goto(f"{chat.server.url}/settings")
    service = chat.page.get_by_role("listitem").filter(has=chat.page.get_by_role("heading", name="fake-openai"))
    expect(service).to_contain_text("Set, from FAKE_KEY")
    expect(service).to_contain_text("answers and lists 1 model.")
    service.get_by_text("Its model").click()
    expect(service.locator(".models code")).to_have_text("tiny")
    expect(chat.page.get_by_text("Asking…")).to_have_count(0)
    expect(chat.page.get_by_text("The MCP server demo has")).to_be_visible()
    expect(chat.page.get_by_role("row", name="current_time")).to_contain_text("built-in")


def test_the_colours_are_chosen_on_the_page_too(chat: Chat) -> None:
    chat.page.goto(f"{chat.server.url}/settings")
    chat.page.get_by_role("main").get_by_label("Dark").check()
    expect(chat.page.locator("html")).to_have_attribute("data-theme", "dark")
    chat.page.reload()
    expect(chat.page.get_by_role("main").get_by_label("Dark")).to_be_checked()


def test_without_javascript_the_services_are_asked_by_a_link(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.url}/settings")
        page.get_by_role("link", name="Check all services").click()
        expect(page.get_by_text("OpenAI-compatible server answers and lists 1 model.")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("path", ["/settings", "/c/{block}/settings", "/", "/nowhere"])
def test_no_page_is_wider_than_its_window(page: Page, server: ServerProcess, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(server.url + path.format(block=f"chat-{token_hex(4)}"))
    expect(page.get_by_text("Asking…")).to_have_count(0)  # what is told then has more to unfold
    for summary in page.locator("main summary").all():
        summary.click()
    assert not is_too_wide(page)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("first"), config=DEMO) as running:
        yield running


def test_a_first_run_says_what_works_and_how_to_add_a_model(page: Page, first_run: ServerProcess) -> None:
    page.goto(first_run.url)
    expect(page.get_by_text("This is the demo.")).to_be_visible()
    page.get_by_text("Add a real model: three ways").click()
    for heading in ("A key", "A model on this machine", "A file"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    page.get_by_role("button", name="See what the page can do").click()
    expect(page.locator(".answer table").first).to_be_visible()


@pytest.mark.parametrize("has_script", [True, False])
def test_the_only_preset_says_how_to_add_another(browser: Browser, first_run: ServerProcess, has_script: bool) -> None:
    with browser.new_context(java_script_enabled=has_script) as context:
        page = context.new_page()
        page.goto(first_run.url)
        page.get_by_role("button", name="Preset: echo answers").click()
        page.get_by_role("link", name="How to add a model").click()
        expect(page).to_have_url(re.compile("/settings#adding$"))
        expect(page.get_by_role("heading", name="A model on this machine")).to_be_visible()


def test_the_preset_has_one_name_everywhere(page: Page, first_run: ServerProcess) -> None:
    chat = Chat(page, first_run)
    page.goto(first_run.url)
    chat.ask("say hi")
    chat.answers.first.locator(".summary").click()
    details = page.get_by_role("dialog", name="Details")
    expect(details.get_by_role("row", name="Preset echo")).to_be_visible()
    expect(details.get_by_role("row", name="Cost Free")).to_be_visible()
    address = page.url
    page.goto(f"{address}/settings")
    page.get_by_text("Why: each value and who set it").click()
    expect(page.get_by_role("row", name="Preset echo")).to_be_visible()
    page.goto(f"{first_run.url}/usage")
    expect(page.get_by_role("group", name="By preset").get_by_role("row", name="echo")).to_contain_text("Free")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette [data-name=Presets] span")).to_have_text("echo")
    page.goto(f"{first_run.url}/settings")
    expect(page.get_by_role("listitem").get_by_role("heading", name="echo")).to_be_visible()


def test_a_page_that_is_not_there_leads_back(page: Page, server: ServerProcess) -> None:
    answer = page.goto(f"{server.url}/nowhere")
    assert answer is not None
    assert answer.status == 404
    page.get_by_role("link", name="Back to the conversations").click()
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
