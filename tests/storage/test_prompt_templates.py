"""Every version of a template is kept, and nobody's change is lost to somebody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.core.errors import VersionConflict
from app.core.prompt_templates import MAX_VERSIONS, PromptMessage, PromptTemplate
from app.storage.prompt_templates import SqliteTemplateStore
from app.storage.sqlite import open_store

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path):
    conversations = await open_store(tmp_path / "palaver.db", now=lambda: NOW)
    yield SqliteTemplateStore(conversations.database, lambda: NOW)
    await conversations.close()


def template(text="Hi {{ name }}", name="hi", **more):
    return PromptTemplate(name, text, **more)


async def test_what_is_saved_is_loaded_again(store):
    messages = (PromptMessage("system", "Be {{ mood }}"), PromptMessage("user", "“x”\n\U0001f642"))
    saved = await store.save(PromptTemplate("a-b", messages, title="T", description="D"))
    assert await store.load("a-b") == saved
    assert (saved.version, saved.saved_at) == (1, "2026-11-21T12:00:00.000000Z")
    assert saved.template.content == messages


async def test_an_unknown_name_has_nothing(store):
    assert await store.load("nobody") is None
    assert await store.versions("nobody") == []
    assert not await store.delete("nobody")


async def test_a_change_is_a_new_version_and_the_old_one_stays(store):
    await store.save(template("one"))
    await store.save(template("two"))
    assert [(each.version, each.template.content) for each in await store.versions("hi")] == [(2, "two"), (1, "one")]
    assert (await store.load("hi")).template.content == "two"
    assert (await store.load("hi", 1)).template.content == "one"
    assert await store.load("hi", 3) is None


async def test_saving_the_same_again_changes_nothing(store):
    await store.save(template())
    assert (await store.save(template())).version == 1
    assert len(await store.versions("hi")) == 1


async def test_all_are_listed_by_name_in_their_newest_version(store):
    for name, text in (("b", "one"), ("a", "one"), ("b", "two")):
        await store.save(template(text, name))
    assert [(each.template.name, each.template.content) for each in await store.all()] == [("a", "one"), ("b", "two")]


@pytest.mark.parametrize("if_version", [0, 1, 3])
async def test_a_change_of_an_older_state_is_refused(store, if_version):
    await store.save(template("one"))
    await store.save(template("two"))
    with pytest.raises(VersionConflict):
        await store.save(template("three"), if_version=if_version)
    with pytest.raises(VersionConflict):
        await store.delete("hi", if_version=if_version)
    assert (await store.save(template("three"), if_version=2)).version == 3


async def test_a_change_of_what_was_deleted_is_refused(store):
    await store.save(template())
    await store.delete("hi")
    with pytest.raises(VersionConflict, match="deleted"):
        await store.save(template("x"), if_version=1)
    assert (await store.save(template("x"), if_version=0)).version == 1


async def test_deleting_takes_all_versions(store):
    await store.save(template("one"))
    await store.save(template("two"))
    assert await store.delete("hi")
    assert await store.versions("hi") == []


async def test_old_versions_go_when_there_are_too_many(store):
    for number in range(MAX_VERSIONS + 2):
        await store.save(template(f"text {number}"))
    versions = await store.versions("hi")
    assert len(versions) == MAX_VERSIONS
    assert versions[-1].version == 3


async def test_half_a_character_does_not_stop_saving(store):
    await store.save(template("half \ud83d here", title="\udc00"))
    assert (await store.load("hi")).template.title == "\ufffd"
