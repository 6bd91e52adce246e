"""Prompts that a user may use, and the kind `PROMPTS`, by which `parley.db.assistants.versions` stores them.

The function `parley_prompts` of the database returns the newest versions of the prompts that the transaction's user may use, and
nothing else of other users' prompts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, text, update
from sqlalchemy.exc import IntegrityError

from parley.db.assistants import versions
from parley.db.assistants.versions import Version, Versioned
from parley.db.tables import prompt_versions, prompts
from parley.errors import NotFound, ParleyError

MAX_PROMPTS = 200
MAX_TEXT_CHARACTERS = 16_000
MAX_DESCRIPTION_CHARACTERS = 300
# Many clients show prompts as slash commands, so a name is a word that is easy to type.
NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,39}$"


class PromptNameTaken(ParleyError):
    """The user has another prompt with this name."""

    status, code = 409, "prompt_name_taken"
    public_message = "You have a prompt with this name. Choose another name."


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion(Version):
    """A version of a prompt: a text with variables, and a sentence for those who choose it."""

    description: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt(PromptVersion):
    """A prompt with its newest version. `is_shared` means shared with everybody; `created_at` is the time of the version."""

    user_id: UUID
    id: UUID
    name: str
    is_shared: bool


@dataclass(frozen=True, slots=True)
class ImportedPrompt:
    """A prompt to import, with all its versions, oldest first."""

    id: UUID
    name: str
    created_at: datetime
    versions: Sequence[PromptVersion]


PROMPTS = Versioned("prompt", prompts, prompt_versions, PromptVersion)
_NAMES = ", ".join(field.name for field in fields(Prompt))
_USABLE = text(
    f"""
    SELECT {_NAMES} FROM parley_prompts(CAST(:id AS uuid), NULL)
     WHERE CAST(:after AS uuid) IS NULL OR id < CAST(:after AS uuid) ORDER BY id DESC LIMIT :limit
    """  # noqa: S608 - column names
)


_PREFERRED = text(
    f"""
    SELECT {_NAMES} FROM parley_prompts(NULL, CAST(:name AS text))
     ORDER BY user_id = :user_id DESC, is_shared DESC, id DESC LIMIT :limit
    """  # noqa: S608 - column names
)


def get(connection: Connection, prompt_id: UUID, *, user_id: UUID) -> Prompt:
    """Return a prompt that the transaction's user may use. Raises NotFound."""
    rows = connection.execute(_USABLE, {"id": prompt_id, "after": None, "limit": None}).all()
    if not rows:
        raise NotFound("prompt", prompt_id)
    # The key is the owner with the id. No two prompts should have one id; if they did, the user's own is meant.
    return Prompt(**max(rows, key=lambda row: row.user_id == user_id)._mapping)


def page(connection: Connection, *, limit: int, after: UUID | None) -> list[Prompt]:
    """Return up to `limit` prompts that the transaction's user may use and that follow the prompt `after`, newest first."""
    rows = connection.execute(_USABLE, {"id": None, "after": after, "limit": limit})
    return [Prompt(**row._mapping) for row in rows]


def preferred(connection: Connection, *, user_id: UUID, limit: int, name: str | None) -> list[Prompt]:
    """Return up to `limit` prompts that the user may use: own ones, then those of everybody, then those of groups, each newest first.

    With `name`, only those with this name.
    """
    rows = connection.execute(_PREFERRED, {"user_id": user_id, "name": name, "limit": limit})
    return [Prompt(**row._mapping) for row in rows]


def add(connection: Connection, prompt_id: UUID, *, user_id: UUID, name: str, description: str | None, text: str) -> None:
    """Store a prompt with its first version. Raises PromptNameTaken."""
    settings = {"description": description, "text": text}
    try:
        with connection.begin_nested():
            versions.add(connection, PROMPTS, prompt_id, user_id=user_id, settings=settings, name=name)
    except IntegrityError as exc:
        raise PromptNameTaken(f"user {user_id}") from exc


def restore(connection: Connection, prompt: ImportedPrompt, *, user_id: UUID) -> None:
    """Store an imported prompt, private to the user, who has no prompt with this id. Raises PromptNameTaken."""
    row = {
        "user_id": user_id,
        "id": prompt.id,
        "name": prompt.name,
        "created_at": prompt.created_at,
        "version": prompt.versions[-1].version,
    }
    rows = [{"user_id": user_id, "prompt_id": prompt.id, **asdict(version)} for version in prompt.versions]
    try:
        with connection.begin_nested():
            connection.execute(insert(prompts).values(row))
            connection.execute(insert(prompt_versions), rows)
    except IntegrityError as exc:
        raise PromptNameTaken(f"user {user_id}") from exc


def rename(connection: Connection, prompt_id: UUID, *, user_id: UUID, name: str) -> None:
    """Give the user's own prompt another name. The versions stay. Raises NotFound and PromptNameTaken."""
    try:
        with connection.begin_nested():
            statement = update(prompts).where(*PROMPTS.is_object(prompt_id, user_id)).values(name=name)
            is_found = connection.execute(statement).rowcount > 0
    except IntegrityError as exc:
        raise PromptNameTaken(f"user {user_id}") from exc
    if not is_found:
        raise NotFound("prompt", prompt_id)
