"""What is attached is kept once, given to the model, and gone with the last message that names it."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from hashlib import sha256

import pytest

from app.chat.attachments import MAX_PROMPT_BYTES, ORPHAN_SECONDS
from app.core.errors import StorageUnavailable, UnsupportedContent
from app.core.files import MAX_IMAGE_BYTES
from app.core.messages import parse_messages
from app.core.model import Media, Text, TurnRequest
from tests.chat.scripted import ScriptedProvider, saying

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
JPEG = b"\xff\xd8\xff" + b"pixels"


def data_url(content, media_type="image/png"):
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def url_of(content):
    return f"/files/{sha256(content).hexdigest()}"


def asking(*urls, message_id="m1", text="look", role="user"):
    files = [{"type": "file", "mediaType": "image/png", "url": url, "filename": "a.png"} for url in urls]
    return parse_messages([{"id": message_id, "role": role, "parts": [*files, {"type": "text", "text": text}]}])[0]


def urls(messages):
    return [part.url for message in messages for part in message.parts if part.type == "file"]


def files_on_disk(tmp_path):
    return {path.name for path in (tmp_path / "files").rglob("*") if path.is_file()}


def make_old(tmp_path):
    then = time.time() - ORPHAN_SECONDS - 60
    for path in (tmp_path / "files").rglob("*"):
        os.utime(path, (then, then))


async def keep(house, *messages, block_id="b1"):
    received = await house.attachments.receive(messages)
    async with house.attachments.kept(received.messages, received.contents):
        await house.store.save(block_id, received.messages, placement="branch")
    return await house.store.load(block_id)


async def take_turn(house, provider, *messages, block_id="b1", **options):
    run = await house.turns(provider).begin(block_id, TurnRequest(messages, **options))
    await house.events(run)
    return provider.requests[-1]


async def test_what_came_inside_a_message_is_taken_out_and_nothing_else_changes(house, tmp_path):
    message = asking(data_url(PNG), data_url(b"a,b", "text/csv"), "https://example.org/a.png")
    received = await house.attachments.receive([message])
    assert urls(received.messages) == [url_of(PNG), url_of(b"a,b"), "https://example.org/a.png"]
    assert sorted(received.contents.values()) == sorted([PNG, b"a,b"])
    before, after = message.to_wire(), received.messages[0].to_wire()
    for part in (*before["parts"], *after["parts"]):
        part.pop("url", None)
    assert after == before
    assert files_on_disk(tmp_path) == set(), "only kept files are stored"


async def test_messages_without_files_stay_as_they_are(house):
    message = asking()
    received = await house.attachments.receive([message])
    assert received.messages == (message,)
    assert received.contents == {}


async def test_a_message_sent_again_is_the_message_that_is_stored(house):
    first = await keep(house, asking(data_url(PNG)))
    for url in (data_url(PNG), url_of(PNG), f"{url_of(PNG)}?name=a.png", f"http://127.0.0.1:8000{url_of(PNG)}"):
        again = await keep(house, asking(url))
        assert again.version == first.version == 1
        assert urls(again.messages) == [url_of(PNG)]


async def test_an_address_of_another_server_is_left_alone(house):
    elsewhere = f"https://other.example{url_of(b'unknown here')}"
    assert urls((await keep(house, asking(elsewhere))).messages) == [elsewhere]


async def test_bad_files_are_refused_by_name(house, tmp_path):
    messages = [asking(message_id="m0"), asking(data_url(PNG), "data:image/png;base64,@@@")]
    with pytest.raises(UnsupportedContent, match="not valid base64") as refused:
        await house.attachments.receive(messages)
    assert refused.value.param == "messages[1].parts[1]"
    with pytest.raises(UnsupportedContent, match="at most 5 MB"):
        await house.attachments.receive([asking(data_url(PNG + bytes(MAX_IMAGE_BYTES)))])


async def test_a_turn_stores_the_image_and_gives_it_to_the_model(house, tmp_path):
    provider = ScriptedProvider(*saying("a", " cat"))
    request = await take_turn(house, provider, asking(data_url(PNG)))
    image = Media("image/png", base64.b64encode(PNG).decode(), "a.png")
    assert request.messages[0].content == (image, Text("look"))
    assert urls((await house.store.load("b1")).messages) == [url_of(PNG)]
    assert files_on_disk(tmp_path) == {sha256(PNG).hexdigest()}


async def test_a_later_turn_finds_the_image_again(house):
    provider = ScriptedProvider(*saying("a", " cat"))
    await take_turn(house, provider, asking(data_url(PNG)))
    request = await take_turn(house, provider, asking(message_id="m2", text="sure?"), message_only=True)
    assert request.messages[0].content[0] == Media("image/png", base64.b64encode(PNG).decode(), "a.png")
    assert [message.role for message in request.messages] == ["user", "assistant", "user"]


async def test_another_image_without_a_word_is_another_message_to_a_client_without_ids(house):
    provider = ScriptedProvider(*saying("ok"))
    await take_turn(house, provider, asking(data_url(PNG), text=""))
    message = asking(data_url(JPEG), message_id="minted", text="")
    request = await take_turn(house, provider, message, minted=frozenset({"minted"}))
    assert request.messages[0].content == (Media("image/jpeg", base64.b64encode(JPEG).decode(), "a.png"),)


async def test_a_client_without_ids_need_not_send_the_image_again(house):
    provider = ScriptedProvider(*saying("a", " cat"))
    await take_turn(house, provider, asking(data_url(PNG)))
    history = [asking(message_id="n1"), asking(message_id="n2", text="a cat", role="assistant")]
    new = asking(message_id="n3", text="sure?")
    request = await take_turn(house, provider, *history, new, minted=frozenset({"n1", "n2", "n3"}))
    assert isinstance(request.messages[0].content[0], Media)
    assert len((await house.store.load("b1")).messages) == 4


async def test_an_edit_that_changes_the_image_alone_is_no_repetition(house):
    provider = ScriptedProvider(*saying("a", " cat"))
    for content in (PNG, PNG, JPEG):
        await take_turn(house, provider, asking(data_url(content)))
    assert [request.messages[0].content[0].media_type for request in provider.requests] == ["image/png", "image/jpeg"]


async def test_a_temporary_chat_stores_no_file(house, tmp_path):
    provider = ScriptedProvider(*saying("a", " cat"))
    request = await take_turn(house, provider, asking(data_url(PNG)), store=False)
    assert isinstance(request.messages[0].content[0], Media)
    assert files_on_disk(tmp_path) == set()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (data_url(b"%PDF-1.7", "application/pdf"), "claims to be"),
        (url_of(b"never sent"), "does not have this file"),
        (f"https://other.example{url_of(b'never sent')}", "does not have this file"),
        ("https://example.org/a.png", "addresses are not fetched"),
        ("http://127.0.0.1:8000/files/../palaver.db", "addresses are not fetched"),
    ],
)
async def test_a_turn_with_a_file_that_no_model_can_get_stores_nothing(house, tmp_path, url, why):
    provider = ScriptedProvider(*saying("x"))
    with pytest.raises(UnsupportedContent, match=why) as refused:
        await take_turn(house, provider, asking(data_url(PNG), url))
    assert refused.value.param == "messages[0].parts[1]"
    assert provider.requests == []
    assert await house.store.load("b1") is None
    assert files_on_disk(tmp_path) == set()


async def test_who_sends_what_the_model_does_not_take_learns_which_preset_it_was(house):
    message = asking(data_url(b"%PDF-1.7", "application/pdf"))
    (part, text) = message.parts
    message = message.model_copy(update={"parts": (part.model_copy(update={"media_type": "application/pdf"}), text)})
    with pytest.raises(UnsupportedContent, match=r"PDF files cannot be sent .* The preset is \w+\.") as refused:
        await take_turn(house, ScriptedProvider(*saying("x")), message)
    assert refused.value.param == "messages[0].parts[0]"


async def test_a_model_gets_only_so_much(house):
    picture = PNG + bytes(MAX_IMAGE_BYTES - len(PNG) - 10)
    most = MAX_PROMPT_BYTES // MAX_IMAGE_BYTES
    await keep(house, *(asking(url_of(picture), message_id=f"m{n}") for n in range(most)), asking(data_url(picture)))
    provider = ScriptedProvider(*saying("x"))
    request = await take_turn(house, provider, asking(*[url_of(picture)] * most), block_id="b2")
    assert len(request.messages[0].content) == most + 1
    with pytest.raises(UnsupportedContent, match="at most 20 MB") as refused:
        await take_turn(house, provider, asking(*[url_of(picture)] * (most + 1)), block_id="b3")
    assert refused.value.param == f"messages[0].parts[{most}]"


async def test_files_of_answers_come_last_and_only_as_far_as_there_is_room(house):
    asked, made = (head + bytes(MAX_IMAGE_BYTES - 10 - len(head)) for head in (PNG, JPEG))
    most = MAX_PROMPT_BYTES // MAX_IMAGE_BYTES
    await keep(house, asking(data_url(asked), data_url(made)))
    answer = asking(url_of(made), message_id="a", role="assistant")
    for count, given in ((most - 1, {asked, made}), (most, {asked})):
        files = await house.attachments.read([answer, asking(*[url_of(asked)] * count)], {})
        assert files.keys() == {sha256(content).hexdigest() for content in given}


async def test_a_file_that_is_gone_hides_no_other(house):
    await keep(house, asking(data_url(PNG)))
    read = await house.attachments.read([asking(url_of(b"gone")), asking(url_of(PNG))], {})
    assert read.keys() == {sha256(PNG).hexdigest()}


async def test_files_go_with_the_last_conversation_that_names_them(house, tmp_path):
    await keep(house, asking(data_url(PNG), data_url(JPEG)), block_id="one")
    await keep(house, asking(data_url(PNG)), block_id="two")
    assert await house.attachments.delete_conversation("one") is True
    assert files_on_disk(tmp_path) == {sha256(PNG).hexdigest()}
    assert await house.attachments.delete_conversation("two") is True
    assert files_on_disk(tmp_path) == set()
    assert await house.attachments.delete_conversation("two") is False


async def test_the_file_of_an_edited_message_stays_until_the_conversation_goes(house, tmp_path):
    await keep(house, asking(data_url(PNG)))
    await keep(house, asking(data_url(JPEG)))
    assert len(files_on_disk(tmp_path)) == 2
    await house.attachments.delete_conversation("b1")
    assert files_on_disk(tmp_path) == set()


async def test_a_file_that_is_just_being_saved_elsewhere_outlives_the_deletion(house, tmp_path):
    await keep(house, asking(data_url(PNG)), block_id="one")
    received = await house.attachments.receive([asking(data_url(PNG))])
    async with house.attachments.kept(received.messages, received.contents):
        await house.attachments.delete_conversation("one")
        await house.store.save("two", received.messages, placement="branch")
    assert files_on_disk(tmp_path) == {sha256(PNG).hexdigest()}
    await house.attachments.delete_conversation("two")
    assert files_on_disk(tmp_path) == set()


async def test_saves_and_deletions_at_the_same_time_never_leave_a_name_without_its_file(house, tmp_path):
    async def come_and_go(block_id):
        for n in range(6):
            await keep(house, asking(data_url(PNG), message_id=f"m{n}"), block_id=block_id)
            if n % 2:
                await house.attachments.delete_conversation(block_id)

    async def keep_on_saving():
        for n in range(12):
            await keep(house, asking(data_url(PNG), message_id=f"m{n}"), block_id=f"kept{n}")
            assert await house.attachments.delete_conversation(f"kept{n - 1}") is (n > 0)
            assert files_on_disk(tmp_path) == {sha256(PNG).hexdigest()}

    async with asyncio.TaskGroup() as tasks:
        for name in "abc":
            tasks.create_task(come_and_go(name))
        tasks.create_task(keep_on_saving())


async def test_what_a_crash_left_behind_goes_when_it_is_old(house, tmp_path):
    await keep(house, asking(data_url(PNG)))
    orphan = await house.attachments.receive([asking(data_url(JPEG))])
    async with house.attachments.kept(orphan.messages, orphan.contents):
        pass  # killed before the message was saved
    await house.attachments.remove_orphans()
    assert len(files_on_disk(tmp_path)) == 2, "it may belong to a turn that is just beginning"
    make_old(tmp_path)
    await house.attachments.remove_orphans()
    assert files_on_disk(tmp_path) == {sha256(PNG).hexdigest()}


async def test_an_old_file_that_is_sent_again_is_not_taken_for_an_orphan(house, tmp_path):
    received = await house.attachments.receive([asking(data_url(PNG))])
    async with house.attachments.kept(received.messages, received.contents):
        make_old(tmp_path)
        await house.attachments.remove_orphans()
    assert files_on_disk(tmp_path) == {sha256(PNG).hexdigest()}


async def test_a_disk_that_fails_does_not_end_the_server_at_its_start(house, tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "aa").mkdir()
    (tmp_path / "files" / "aa" / ("a" * 64)).mkdir()  # unlinking a folder fails
    make_old(tmp_path)
    await house.attachments.remove_orphans()


async def test_where_the_file_cannot_be_stored_the_message_is_not_either(house, tmp_path):
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await take_turn(house, ScriptedProvider(*saying("x")), asking(data_url(PNG)))
    assert await house.store.load("b1") is None
