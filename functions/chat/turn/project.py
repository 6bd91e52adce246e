"""The project of a turn's conversation: instructions, documents, and whether memory is limited to it."""

from dataclasses import replace

from parley.auth.principal import Principal
from parley.db.conversations import Conversation
from parley.db.engine import Connection
from parley.db.projects import projects
from parley.db.projects.projects import Project


def project_of(connection: Connection, conversation: Conversation, principal: Principal) -> Project | None:
    """Return the conversation's project, without its documents if the caller may not search documents. None if it has no project."""
    if conversation.project_id is None:
        return None
    project = projects.get(connection, conversation.project_id, user_id=principal.user_id)
    return project if "documents" in principal.scopes else replace(project, documents=())
