"""The trash of the application: what is put there stops, comes back, or goes for good with its files."""

from __future__ import annotations

import asyncio

import pytest

from app.chat.trash import Trash
from tests.chat.scripted import ScriptedProvider, saying
from tests.chat.test_attachments import PNG, asking, data_url, files_on_disk, keep, take_turn

pytestmark = pytest.mark.anyio


@pytest.fixture
def trash(house):
    return trash_of(house)


def trash_of(house, **options):
    return Trash(house.store, house.attachments, house.turns(ScriptedProvider()), house.runs, **options)


async def test_the_files_of_what_is_in_the_trash_stay_until_it_is_emptied(house, trash, tmp_path):
    await keep(house, asking(data_url(PNG)))
    assert await trash.put("b1")
    await trash.empty()
    assert len(files_on_disk(tmp_path)) == 1
    assert await trash.restore("b1")
    assert await trash.put("b1")
    await trash_of(house, seconds=-60).empty()
    assert files_on_disk(tmp_path) == set()
    assert not await trash.restore("b1")


async def test_a_file_that_another_conversation_names_stays(house, trash, tmp_path):
    await keep(house, asking(data_url(PNG)))
    await keep(house, asking(data_url(PNG)), block_id="b2")
    await trash.put("b1")
    await trash_of(house, seconds=-60).empty()
    assert len(files_on_disk(tmp_path)) == 1


async def test_it_is_emptied_from_the_start_of_the_server_on(house, trash, tmp_path):
    await keep(house, asking(data_url(PNG)))
    await trash.put("b1")
    emptying = asyncio.create_task(trash_of(house, seconds=-60).keep_empty())
    while files_on_disk(tmp_path):
        await asyncio.sleep(0.01)
    emptying.cancel()
    await asyncio.wait([emptying])
    assert not await trash.restore("b1")


async def test_deleting_for_good_leaves_nothing_to_bring_back(house, trash):
    await keep(house, asking(data_url(PNG)))
    assert await trash.delete("b1")
    assert not await trash.restore("b1")
    assert not await trash.delete("b1")


async def test_an_answer_of_what_was_deleted_does_not_bring_it_back(house, trash):
    provider = ScriptedProvider(*saying("hi"))
    await take_turn(house, provider, asking(message_id="m1"))
    assert await trash.put("b1")
    assert await house.store.load("b1") is None
    assert await trash.restore("b1")
    restored = await house.store.load("b1")
    assert [message.role for message in restored.messages] == ["user", "assistant"]
