from __future__ import annotations

import base64
import json
from contextlib import aclosing

import pytest

from app.core.errors import ProviderBroken, ProviderUnavailable
from app.core.events import TextDelta
from app.core.model import GO_ON, Media, ModelMessage, ModelRequest, Text
from app.providers.echo.provider import SLOW_SECONDS_PER_WORD, Echo
from tests.providers.asking import Answer, Naps, ask, request

pytestmark = pytest.mark.anyio


async def said(*content: str | Media, **values: object) -> Answer:
    return await ask(Echo(sleep=Naps().sleep), request(*content, **values))


async def test_what_is_no_command_is_repeated_with_a_word_about_the_demo() -> None:
    got = await said("Tell me\nabout whales")
    assert got.text.startswith("You said:\n\n> Tell me\n> about whales\n")
    assert "demo" in got.text
    assert "`help`" in got.text


async def test_help_explains_every_command_and_how_to_add_a_real_model() -> None:
    text = (await said("help")).text
    for word in ("markdown", "think", "slow", "long", "json", "image", "html", "error", "error midway", "say", "help"):
        assert f"`{word}" in text
    for way in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GROQ_API_KEY", "Ollama", "palaver.toml"):
        assert way in text


async def test_markdown_has_a_bit_of_everything() -> None:
    text = (await said("markdown")).text
    for piece in (
        "# ",
        "**bold**",
        "- [x]",
        "| --- |",
        "> ",
        "](https://",
        "```python",
        "```sql",
        "\n---\n",
        "![a cat](http",
    ):
        assert piece in text
    assert text.count("```") == 6


async def test_think_thinks_first() -> None:
    got = await said("think about it")
    assert [part["type"] for part in got.parts] == ["reasoning", "text"]
    assert got.finish is not None
    assert got.finish.usage.reasoning_tokens == len(got.reasoning.split())


async def test_a_request_with_thinking_thinks_too() -> None:
    assert (await said("say hello", thinking="low")).reasoning
    assert not (await said("say hello", thinking="off")).reasoning


@pytest.mark.parametrize(("command", "words"), [("slow", 50), ("slow 3", 3), ("slow 120", 120), ("slow 0", 1)])
async def test_slow_says_ten_words_a_second(command: str, words: int) -> None:
    naps = Naps()
    got = await ask(Echo(sleep=naps.sleep), request(command))
    assert len(got.text.split()) == words
    assert naps.taken == [SLOW_SECONDS_PER_WORD] * words


async def test_long_says_many_paragraphs_as_fast_as_it_goes() -> None:
    naps = Naps()
    got = await ask(Echo(sleep=naps.sleep), request("long 7"))
    assert got.text.count("\n\n") == 6
    assert not any(naps.taken)


async def test_error_fails_before_the_first_word() -> None:
    got = await said("error")
    assert (got.events, type(got.error)) == ([], ProviderUnavailable)


async def test_error_midway_fails_in_the_middle() -> None:
    got = await said("error midway")
    assert got.text.startswith("This answer looks fine")
    assert "never arrive" not in got.text
    assert isinstance(got.error, ProviderBroken)


async def test_json_is_json() -> None:
    text = (await said("json")).text
    assert json.loads(text.removeprefix("```json\n").removesuffix("```\n"))["demo"] is True


async def test_a_json_response_format_gives_nothing_but_json() -> None:
    assert json.loads((await said('what "is" this', response_format="json")).text)["you_said"] == 'what "is" this'


async def test_html_tries_to_smuggle_scripts() -> None:
    text = (await said("html")).text
    for attempt in ("<script>", "onerror=", "javascript:", "hx-get="):
        assert attempt in text


async def test_an_image_is_described() -> None:
    image = Media("image/png", base64.b64encode(b"x" * 1234).decode())
    for got in (await said("image", image), await said(image)):
        assert "image/png, 1,234 bytes" in got.text
    assert "no image" in (await said("image")).text


async def test_say_repeats_exactly_and_word_by_word() -> None:
    got = await said("say  one two\n  three  ")
    assert got.text == "one two\n  three"
    assert [event.delta for event in got.events if isinstance(event, TextDelta)] == ["one", " two", "\n  three"]


async def test_the_last_message_of_the_user_counts() -> None:
    messages = (
        ModelMessage("user", (Text("say one"),)),
        ModelMessage("assistant", (Text("one"),)),
        ModelMessage("user", (Text("SAY two"),)),
    )
    assert (await ask(Echo(pause=0), ModelRequest("echo", messages))).text == "two"


async def test_tokens_are_words() -> None:
    got = await said("say one two three", system="Be kind.")
    assert got.finish is not None
    assert (got.finish.usage.input_tokens, got.finish.usage.output_tokens) == (6, 3)


async def test_max_tokens_and_stop_cut_the_answer() -> None:
    cut = await said("say one two three", max_tokens=2)
    assert cut.finish is not None
    assert (cut.text, cut.finish.reason) == ("one two", "length")
    stopped = await said("say one two three", stop=("two",))
    assert stopped.finish is not None
    assert (stopped.text, stopped.finish.reason) == ("one ", "stop")


async def test_it_can_be_left_at_any_word() -> None:
    async with aclosing(Echo(pause=0).stream(request("slow 500"))) as batches:
        await anext(batches)
        await anext(batches)


async def test_an_answer_that_was_cut_off_goes_on_where_it_stopped() -> None:
    whole = (await said("think")).text
    for cut in (5, len(whole) // 2, len(whole)):
        messages = [
            ModelMessage("user", (Text("think"),)),
            ModelMessage("assistant", (Text(whole[:cut]),)),
            ModelMessage("user", (Text(GO_ON),)),
        ]
        got = await ask(Echo(sleep=Naps().sleep), ModelRequest("echo", tuple(messages)))
        assert got.text == whole[cut:]
        assert not got.reasoning
