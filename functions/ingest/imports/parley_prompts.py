"""The prompts of Parley's own export, with all their versions.

They are checked as if they were written now, because a file may come from somebody else. An imported prompt is private, and has an id
of its own: with the id of the file, it could stand in for another user's prompt.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from hashlib import sha256
from uuid import UUID

from functions.ingest.imports.draft import get_moment, get_text, storable
from functions.ingest.imports.errors import LeftOut
from functions.ingest.imports.json_items import JsonObject
from parley.db.assistants import prompts, versions
from parley.db.assistants.prompts import (
    MAX_DESCRIPTION_CHARACTERS,
    MAX_PROMPTS,
    MAX_TEXT_CHARACTERS,
    NAME_PATTERN,
    PROMPTS,
    ImportedPrompt,
    PromptNameTaken,
    PromptVersion,
)
from parley.db.assistants.versions import MAX_VERSIONS
from parley.db.engine import Connection
from parley.db.transactions import lock_until_end
from parley.errors import InvalidInput
from parley.prompt_template import find_variables

_NAME = re.compile(NAME_PATTERN)


class PromptLeftOut(LeftOut):
    """A prompt cannot be imported."""

    code = "prompts"


def read_prompts(prompt_rows: Iterable[JsonObject], version_rows: Iterable[JsonObject]) -> Iterator[ImportedPrompt | LeftOut]:
    """Yield the prompts with their versions. A prompt that cannot be read yields its error."""
    by_prompt: dict[str, list[JsonObject]] = defaultdict(list)
    for row in version_rows:
        by_prompt[get_text(row, "prompt_id")].append(row)
    for row in prompt_rows:
        try:
            yield _prompt(row, by_prompt[get_text(row, "id")])
        except (LeftOut, InvalidInput, ValueError):
            yield PromptLeftOut("malformed")


def store_prompt(connection: Connection, prompt: ImportedPrompt, *, user_id: UUID) -> bool:
    """Store a prompt unless the user has it, or has imported it. Return False if another has its name, or if the user has too many."""
    lock_until_end(connection, f"prompts of {user_id}")
    own_id = _own_id(prompt.id, user_id)
    if any(versions.has(connection, PROMPTS, id, user_id=user_id) for id in (prompt.id, own_id)):
        return True
    if versions.count(connection, PROMPTS, user_id=user_id) >= MAX_PROMPTS:
        return False
    try:
        prompts.restore(connection, replace(prompt, id=own_id), user_id=user_id)
    except PromptNameTaken:
        return False
    return True


def _own_id(id: UUID, user_id: UUID) -> UUID:
    """Return the id of the user's copy of a prompt: always the same, with the time in its first six bytes, and no other user's."""
    return UUID(bytes=id.bytes[:6] + sha256(user_id.bytes + id.bytes).digest()[:10])


def _prompt(row: JsonObject, version_rows: list[JsonObject]) -> ImportedPrompt:
    name, created_at = get_text(row, "name"), get_moment(row, "created_at")
    stored = sorted(map(_version, version_rows), key=lambda version: version.version)
    numbers = {version.version for version in stored}
    if not _NAME.fullmatch(name) or created_at is None or not 0 < len(numbers) == len(stored) <= MAX_VERSIONS:
        raise PromptLeftOut("malformed")
    return ImportedPrompt(UUID(get_text(row, "id")), name, created_at, stored)


def _version(row: JsonObject) -> PromptVersion:
    number, text, created_at = row.get("version"), storable(get_text(row, "text")), get_moment(row, "created_at")
    description = storable(get_text(row, "description"))[:MAX_DESCRIPTION_CHARACTERS] or None
    if not isinstance(number, int) or not 0 < number < 2**31 or created_at is None or not 0 < len(text) <= MAX_TEXT_CHARACTERS:
        raise PromptLeftOut("malformed")
    find_variables(text)
    return PromptVersion(version=number, created_at=created_at, description=description, text=text)
