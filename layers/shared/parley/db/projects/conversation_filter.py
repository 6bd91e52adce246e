"""The part of a user's conversations that a list has."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement

from parley.db.tables import conversations


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """The conversations that a list has: archived ones or the others, of these only the pinned, only those with a tag or in a project."""

    is_archived: bool = False
    only_pinned: bool = False
    tag: str | None = None
    project_id: UUID | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on rows."""
        wanted = [conversations.c.is_archived if self.is_archived else ~conversations.c.is_archived]
        if self.only_pinned:
            wanted.append(conversations.c.is_pinned)
        if self.tag is not None:
            wanted.append(conversations.c.tags.contains([self.tag]))
        if self.project_id is not None:
            wanted.append(conversations.c.project_id == self.project_id)
        return wanted


NOT_ARCHIVED = ConversationFilter()
