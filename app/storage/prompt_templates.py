"""Prompt templates with all their versions: `core.prompt_templates.TemplateStore` over SQLite."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from sqlite3 import Connection
from typing import Any

from app.core.errors import InvalidRequest, VersionConflict
from app.core.prompt_templates import (
    MAX_TEMPLATES,
    MAX_VERSIONS,
    Content,
    PromptMessage,
    PromptTemplate,
    StoredTemplate,
)
from app.core.times import written
from app.storage.database import Database, Row
from app.storage.drafts import storable

_COLUMNS = "name, version, title, description, content, saved_at"

_ALL = f"""
SELECT {_COLUMNS} FROM prompt_templates AS t
WHERE version = (SELECT max(version) FROM prompt_templates WHERE name = t.name) ORDER BY name
"""  # noqa: S608  # its own columns

_VERSIONS = f"SELECT {_COLUMNS} FROM prompt_templates WHERE name = :name ORDER BY version DESC"  # noqa: S608

_ADD = f"""
INSERT INTO prompt_templates ({_COLUMNS}) VALUES (:name, :version, :title, :description, :content, :saved_at)
"""  # noqa: S608

_PRUNE = f"DELETE FROM prompt_templates WHERE name = :name AND version <= :version - {MAX_VERSIONS}"  # noqa: S608

_COUNT = "SELECT count(DISTINCT name) FROM prompt_templates"


class SqliteTemplateStore:
    """Implements `core.prompt_templates.TemplateStore`."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def all(self) -> Sequence[StoredTemplate]:
        return [_to_stored(row) for row in await self._database.read(_ALL, {})]

    async def load(self, name: str, version: int | None = None) -> StoredTemplate | None:
        sql = f"{_VERSIONS} LIMIT 1" if version is None else f"SELECT * FROM ({_VERSIONS}) WHERE version = :version"  # noqa: S608
        rows = await self._database.read(sql, {"name": name, "version": version})
        return _to_stored(rows[0]) if rows else None

    async def versions(self, name: str) -> Sequence[StoredTemplate]:
        return [_to_stored(row) for row in await self._database.read(_VERSIONS, {"name": name})]

    async def save(self, template: PromptTemplate, *, if_version: int | None = None) -> StoredTemplate:
        saved_at = written(self._now())

        def save(connection: Connection) -> StoredTemplate:
            newest = _read_newest(connection, template.name, if_version)
            if newest is not None and newest.template == template:
                return newest
            if newest is None and _count(connection) >= MAX_TEMPLATES:
                raise InvalidRequest(f"There are {MAX_TEMPLATES:,} templates already. Delete some first.")
            stored = StoredTemplate(template, newest.version + 1 if newest is not None else 1, saved_at)
            values = _to_values(stored)
            connection.execute(_ADD, values)
            connection.execute(_PRUNE, {"name": template.name, "version": stored.version})
            return stored

        return await self._database.write(save)

    async def delete(self, name: str, *, if_version: int | None = None) -> bool:
        def delete(connection: Connection) -> bool:
            newest = _read_newest(connection, name, if_version)
            connection.execute("DELETE FROM prompt_templates WHERE name = :name", {"name": name})
            return newest is not None

        return await self._database.write(delete)


def _read_newest(connection: Connection, name: str, if_version: int | None) -> StoredTemplate | None:
    rows = list(connection.execute(f"{_VERSIONS} LIMIT 1", {"name": name}))
    newest = _to_stored(rows[0]) if rows else None
    if if_version is not None and if_version != (newest.version if newest is not None else 0):
        raise VersionConflict(
            "The template has changed since it was loaded. Load it again and repeat the change."
            if newest is not None and if_version
            else "There is a template of this name already. Choose another name, or change that one."
            if newest is not None
            else "The template has been deleted meanwhile. Save it without `If-Match` to have it again."
        )
    return newest


def _count(connection: Connection) -> int:
    [[count]] = connection.execute(_COUNT)
    return int(count)


def _to_values(stored: StoredTemplate) -> dict[str, Any]:
    template = stored.template
    content: Any = template.content
    if isinstance(content, str):
        content = storable(content)
    else:
        content = [{"role": message.role, "text": storable(message.text)} for message in content]
    return {
        "name": template.name,
        "version": stored.version,
        "title": storable(template.title),
        "description": storable(template.description),
        "content": json.dumps(content),
        "saved_at": stored.saved_at,
    }


def _to_stored(row: Row) -> StoredTemplate:
    name, version, title, description, content, saved_at = row
    said: Any = json.loads(content)
    read: Content = said if isinstance(said, str) else tuple(PromptMessage(**message) for message in said)
    return StoredTemplate(PromptTemplate(name, read, title, description), version, saved_at)
