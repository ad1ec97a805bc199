"""What holds on every page and in every state: no accessibility violation, nothing wider than the page, a focus that is
seen, colours that the system may replace, and a page that works with a keyboard, a screen reader, or without scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from e2e.chat_page import Chat
from e2e.conftest import REACT
from e2e.page_states import EVERYTHING, STORIES, Story, keep
from tests.server_process import ServerProcess, server_process
from tests.upstream import Gate, Upstream, chat_answer

AXE = REACT / "node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AUDIT = """async (rules) => {
  const { violations } = await axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} (${node.failureSummary})`));
}"""

FOCUS = """() => {
  const focused = document.activeElement;
  if (!focused || focused === document.body) return null;
  const isMarked = (element) => {
    const style = getComputedStyle(element);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
  const accent = getComputedStyle(document.querySelector(".mark-front")).fill;
  const hasEdge = (element) => getComputedStyle(element).borderTopColor === accent;
  const around = [focused, focused.parentElement, focused.closest(".composer-box, label") ?? focused];
  const box = focused.getBoundingClientRect();
  const isOnTop = (y) => {
    const top = document.elementFromPoint(box.x + box.width / 2, y);
    return top && (focused.contains(top) || top.contains(focused) || focused.labels?.[0]?.contains(top));
  };
  const isCovered = ![box.y + 10, box.y + box.height / 2, box.bottom - 10].some(isOnTop);
  const name = `${focused.tagName} ${focused.id || focused.getAttribute("aria-label") || focused.textContent.trim()}`;
  return { name, isSeen: around.some((e) => isMarked(e) || hasEdge(e)), isCovered };
}"""
"""What has the focus, whether a ring or an edge shows it, and whether something lies over it."""


def audit(page: Page, rules: list[str]) -> list[str]:
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE.read_text())
    violations: list[str] = page.evaluate(AUDIT, rules)
    return violations


@pytest.fixture
def wide_open(browser: Browser, server: ServerProcess) -> Iterator[Chat]:
    """A page that lets a test bring in the checker, and moves nothing while it looks."""
    with browser.new_context(bypass_csp=True, reduced_motion="reduce") as context:
        yield Chat(context.new_page(), server)


@pytest.mark.parametrize(("width", "farthest"), [(1280, 2560), (390, 320)])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_no_state_has_a_violation_or_is_wider_than_the_page(
    wide_open: Chat, upstream: Upstream, story: Story, width: int, farthest: int
) -> None:
    page, found = wide_open.page, []
    size = {"width": width, "height": 1400}
    page.set_viewport_size(size)
    for state in story(wide_open, upstream):
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        found += [f"{state}, light: {violation}" for violation in audit(page, RULES)]
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        found += [f"{state}, dark: {violation}" for violation in audit(page, ["color-contrast"])]
        for each in (farthest, width):
            page.set_viewport_size({**size, "width": each})
            if wide_open.js("document.scrollingElement.scrollWidth > innerWidth"):
                found.append(f"{state}: wider than {each} pixels")
    assert found == []


def test_the_way_in_has_no_violation(wide_open: Chat, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("guarded")
    with server_process(folder, environment={"PALAVER_TOKEN": "a-token-that-is-long-enough"}) as guarded:
        page = wide_open.page
        page.goto(guarded.url)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert audit(page, RULES) == []
        page.get_by_label("Access token").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        assert audit(page, RULES) == []
        page.get_by_label("Access token").fill("a-token-that-is-long-enough")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Message", exact=True)).to_be_visible()


# --- Keyboard


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "address", ["/", "/c/{block}", "/c/{block}/settings", "/c/{block}/options", "/templates/new", "/usage", "/settings"]
)
def test_the_focus_is_always_seen(chat: Chat, address: str, width: int) -> None:
    page, hidden, seen = chat.page, [], set()
    page.emulate_media(reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 700})
    page.goto(chat.server.url + address.format(block=keep(chat.server, EVERYTHING)))
    page.locator(".skip").focus()
    for _ in range(60):
        page.keyboard.press("Tab")
        if (focus := page.evaluate(FOCUS)) is None:
            break
        seen.add(focus["name"])
        if not focus["isSeen"] or focus["isCovered"]:
            hidden.append(focus)
    assert len(seen) > 5
    assert hidden == []


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    for _ in range(80):
        page.keyboard.press(key)
        focus = page.evaluate(FOCUS)
        if focus and name in focus["name"]:
            return
    raise AssertionError(f"{key} never comes to {name}")


def test_everything_is_done_by_keyboard_alone(chat: Chat) -> None:
    page, keys = chat.page, chat.page.keyboard
    page.goto(f"{chat.server.url}/usage")
    keys.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keys.press("Enter")
    expect(page).to_have_url(re.compile("#main$"))
    keys.press("Tab")
    expect(page.get_by_role("link", name="7 days")).to_be_focused()
    keys.press("Control+Shift+O")
    page.wait_for_url(f"{chat.server.url}/")
    expect(chat.box).to_be_focused()
    keys.insert_text("say hi")
    keys.press("Enter")
    chat.wait()
    expect(chat.box).to_be_focused()
    tab_to(page, "Answer again", "Shift+Tab")
    keys.press("Enter")
    expect(page.get_by_role("group", name="Versions of the answer")).to_contain_text("2/2")
    chat.wait()
    chat.box.focus()
    tab_to(page, "Edit the message", "Shift+Tab")
    keys.press("Enter")
    expect(chat.box).to_be_focused()
    expect(chat.box).to_have_value("say hi")
    keys.press("Control+a")
    keys.insert_text("say goodbye")
    keys.press("Enter")
    expect(chat.questions).to_have_text("say goodbye")
    chat.wait()
    tab_to(page, "to-settings", "Shift+Tab")
    keys.press("Enter")
    panel = page.get_by_role("dialog", name="Settings of the conversation")
    expect(panel.get_by_label("Temperature")).to_be_visible()
    tab_to(page, "block-temperature")
    keys.insert_text("0.5")
    keys.press("Escape")
    expect(panel).to_be_hidden()
    expect(page.locator("#to-settings")).to_be_focused()
    keys.press("Control+k")
    keys.insert_text("templates")
    expect(page.get_by_role("option", name="Templates")).to_be_visible()
    keys.press("Enter")
    page.wait_for_url(f"{chat.server.url}/templates")


# --- Eyes and ears


def test_a_screen_reader_hears_whole_blocks(chat: Chat, upstream: Upstream) -> None:
    first, second = Gate(), Gate()
    frames = chat_answer("One sen", "tence.\n\nAnother one, wh", "ich is longer.\n\n- An item")
    upstream.reply([*frames[:2], first, frames[2], second, *frames[3:]])
    chat.open("fake-openai")
    log = chat.page.get_by_role("log", name="Messages")
    expect(log).to_be_attached()
    chat.js("""() => {
        window.heard = [];
        new MutationObserver((changes) => {
            for (const { target, addedNodes } of changes) {
                const around = target.nodeType === Node.TEXT_NODE ? target.parentElement : target;
                if (around.closest("[aria-live=off], [role=status]")) continue;
                for (const node of addedNodes) {
                    const copy = document.createElement("div");
                    copy.append(node.cloneNode(true));
                    for (const quiet of copy.querySelectorAll("[aria-live=off], [role=status]")) quiet.remove();
                    const words = copy.textContent.trim();
                    if (words) window.heard.push(words);
                }
            }
        }).observe(document.querySelector("#transcript"), { childList: true, characterData: true, subtree: true });
    }""")
    chat.send("Write")
    expect(chat.answers).to_contain_text("One sen")
    first.open()
    expect(chat.answers).to_contain_text("wh")
    assert not any("Another" in words for words in chat.js("window.heard"))
    second.open()
    chat.wait()
    heard = [words for words in chat.js("window.heard") if re.search("sentence|Another|item", words)]
    assert heard == ["One sentence.", "Another one, which is longer.", "An item"]


def test_who_wants_no_motion_gets_none(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply([gate, *chat_answer("hi")])
    chat.open("fake-openai")
    chat.send("Write")
    expect(chat.page.locator(".waiting")).to_be_visible()
    chat.until("document.getAnimations().some(animation => animation.playState === 'running')")
    chat.page.emulate_media(reduced_motion="reduce")
    chat.until("document.getAnimations().length === 0")
    gate.open()
    chat.wait()


def test_colours_of_the_system_leave_everything_to_be_seen(chat: Chat, upstream: Upstream) -> None:
    gate = Gate()
    upstream.reply([gate, *chat_answer("hi")])
    chat.page.emulate_media(forced_colors="active")
    chat.open("fake-openai")
    chat.send("Write")
    expect(chat.page.locator(".running .state").first).to_be_visible()
    paper = chat.js("getComputedStyle(document.body).backgroundColor")
    for filled in (".running .state", ".waiting i"):
        assert chat.page.locator(filled).first.evaluate("e => getComputedStyle(e).backgroundColor") != paper
    for outlined in ("[aria-current]", ".segments > :has(:checked)"):
        assert chat.page.locator(outlined).first.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    for edged in ("#composer-action .send", ".bubble", ".composer-box"):
        assert chat.page.locator(edged).first.evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"
    gate.open()
    chat.wait()
    chat.page.keyboard.press("Control+k")
    chosen = chat.page.locator("#palette [aria-selected=true]")
    assert chosen.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"


def test_nothing_that_can_be_read_already_is_moved_by_what_comes(chat: Chat) -> None:
    chat.page.set_viewport_size({"width": 1280, "height": 2400})
    chat.open()
    chat.js("""() => {
        window.moved = [];
        window.watching = new PerformanceObserver((list) => {
            for (const { node } of list.getEntries().flatMap((shift) => shift.sources)) {
                const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
                if (element && !element.closest(".tail, .waiting")) window.moved.push(element.outerHTML.slice(0, 200));
            }
        });
    }""")
    chat.ask("markdown")  # the greeting goes once, with the first message
    chat.settle()
    chat.js("window.watching.observe({ type: 'layout-shift' })")
    chat.ask("markdown", answers=2)
    assert chat.js("window.moved") == []


# --- Fingers, and the middle


@pytest.mark.parametrize("width", [390, 320])
def test_what_is_tapped_is_large_enough(browser: Browser, server: ServerProcess, width: int) -> None:
    size = {"width": width, "height": 844}
    with browser.new_context(viewport=size, has_touch=True, is_mobile=True) as context:  # type: ignore[arg-type]
        chat = Chat(context.new_page(), server)
        page = chat.page
        chat.open(block=keep(server, EVERYTHING))
        sizes = """all => all.map((element) => element.getBoundingClientRect())
          .filter((box) => box.width).map(({ width, height }) => [width, height])"""
        for buttons in (".topbar .icon-button", ".actions .icon-button", "#composer .icon-button, #composer .send"):
            found = page.locator(buttons).evaluate_all(sizes)
            assert found, buttons
            assert all(min(box) >= 44 for box in found), (buttons, found)
        assert not page.evaluate("document.scrollingElement.scrollWidth > innerWidth")
        page.get_by_role("link", name="Share, export and more").tap()
        expect(page.locator("#conversation-menu")).to_be_visible()
        rows = page.locator("#conversation-menu [role=menuitem]").evaluate_all(sizes)
        assert len(rows) == 6
        assert all(height >= 44 for _, height in rows)
        page.get_by_role("menuitem", name="Share").tap()
        expect(page.get_by_role("dialog", name="Share the conversation")).to_be_visible()


def test_dialogs_stand_in_the_middle_of_the_window(chat: Chat) -> None:
    chat.open(block=keep(chat.server, EVERYTHING))
    for keys, dialog in (("Control+k", "#palette"), ("Control+/", "#shortcuts")):
        chat.page.keyboard.press(keys)
        expect(chat.page.locator(dialog)).to_be_visible()
        box = chat.page.locator(dialog).bounding_box()
        assert box is not None
        assert abs(box["x"] + box["width"] / 2 - chat.js("innerWidth") / 2) <= 1
        chat.page.keyboard.press("Escape")


def test_the_console_of_a_fresh_page_is_empty_and_the_shortcuts_are_closed_by_enter(chat: Chat) -> None:
    said: list[str] = []
    chat.page.on("console", lambda message: said.append(message.text))
    chat.open()
    chat.page.wait_for_load_state("networkidle")
    chat.page.keyboard.press("Control+/")
    shortcuts = chat.page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(shortcuts.get_by_role("button", name="Close")).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(shortcuts).to_be_hidden()
    assert said == []


# --- Without JavaScript


def test_without_javascript_the_main_work_is_done_by_forms(browser: Browser, server: ServerProcess) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        chat = Chat(page, server)
        chat.open()
        chat.send("say one")
        expect(chat.answers).to_contain_text("one")
        page.get_by_role("link", name="Edit the message").click()
        expect(chat.box).to_have_value("say one")
        chat.send("say two")
        expect(chat.questions).to_have_text("say two")
        expect(chat.answers).to_contain_text("two")
        versions = page.get_by_role("group", name="Versions of the message").or_(
            page.get_by_role("group", name="Versions of the question")
        )
        versions.get_by_role("button", name="Previous version").click()
        expect(chat.questions).to_have_text("say one")
        page.get_by_role("button", name="Answer again").click()
        expect(page.get_by_role("group", name="Versions of the answer")).to_contain_text("2/2")
        page.get_by_role("link", name="Settings of the conversation").click()
        page.get_by_label("Temperature").fill("0.5")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_label("Temperature").or_(chat.box)).to_be_visible()
        page.goto(re.sub(r"(/c/[\w-]+).*", r"\1/settings", page.url))
        expect(page.get_by_label("Temperature")).to_have_value("0.5")


def test_without_javascript_a_form_does_not_wait_for_the_end(
    browser: Browser, server: ServerProcess, upstream: Upstream
) -> None:
    gate = Gate()
    frames = chat_answer("Once upon a time\n\n", "the end")
    upstream.reply([*frames[:2], gate, *frames[2:]])
    with browser.new_context(java_script_enabled=False) as context:
        chat = Chat(context.new_page(), server)
        chat.open("fake-openai")
        chat.send("Tell me")
        expect(chat.questions).to_have_text("Tell me")
        expect(chat.page.locator(".writing")).to_contain_text("The answer is being written.")
        expect(chat.page.get_by_role("button", name="Stop")).to_be_visible()
        gate.open()
        expect(chat.answers).to_contain_text("the end")
        expect(chat.page.locator(".writing")).to_have_count(0)


def test_without_javascript_a_running_answer_is_stopped_and_loads_by_itself(
    browser: Browser, chat: Chat, upstream: Upstream
) -> None:
    gate = Gate()
    frames = chat_answer("Once upon a time\n\n", "the end")
    upstream.reply([*frames[:2], gate, *frames[2:]])
    chat.open("fake-openai")
    chat.send("Tell me")
    expect(chat.answers).to_contain_text("Once upon a time")
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(chat.page.url)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_text("Stopped.")).to_be_visible()
        expect(page.locator(".answer")).to_contain_text("Once upon a time")
    gate.open()
    chat.wait()
