"""Create assistants, change them in versions, and show them to those who may use them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from functions.conversation.assistants.schemas import AssistantChanges
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db import documents
from parley.db.accounts import audit
from parley.db.assistants import assistants, versions
from parley.db.assistants.assistants import ASSISTANTS, Assistant
from parley.db.engine import Connection
from parley.db.transactions import lock_until_end
from parley.errors import ParleyError
from parley.ids import new_id

MAX_ASSISTANTS = 200


class TooManyAssistants(ParleyError):
    """The user has as many assistants as are allowed."""

    status, code = 409, "too_many_assistants"
    public_message = f"You have {MAX_ASSISTANTS} assistants. Delete one before you add another."


def create(connection: Connection, principal: Principal, settings: Mapping[str, Any]) -> Assistant:
    """Store an assistant of the caller with its first version. Raises TooManyAssistants, and NotFound for an unreadable document."""
    user_id = principal.user_id
    _check_documents(connection, user_id, settings)
    lock_until_end(connection, f"assistants of {user_id}")
    if versions.count(connection, ASSISTANTS, user_id=user_id) >= MAX_ASSISTANTS:
        raise TooManyAssistants(f"user {user_id} has {MAX_ASSISTANTS} assistants")
    assistant_id = new_id()
    versions.add(connection, ASSISTANTS, assistant_id, user_id=user_id, settings=settings)
    return assistants.get(connection, assistant_id)


def change(
    connection: Connection, principal: Principal, assistant_id: UUID, changes: AssistantChanges, *, origin: ClientOrigin
) -> Assistant:
    """Store the changed settings as a new version of the caller's own assistant. The owner may always end its share with everybody.

    Raises NotFound for the assistant or an unreadable document, and ScopeMissing.
    """
    if changes.shared:
        principal.require("admin")
    if changes.shared is not None:
        versions.set_shared(connection, ASSISTANTS, assistant_id, user_id=principal.user_id, is_shared=changes.shared)
        audit.record_share(connection, principal.user_id, "assistant", assistant_id, origin, is_shared=changes.shared)
    _check_may_change(connection, principal, assistant_id)
    _check_documents(connection, principal.user_id, settings := changes.settings())
    versions.change(connection, ASSISTANTS, assistant_id, user_id=principal.user_id, changes=settings)
    return assistants.get(connection, assistant_id)


def roll_back(connection: Connection, principal: Principal, assistant_id: UUID, version: int) -> Assistant:
    """Store the settings of an earlier version as a new version. Raises NotFound and ScopeMissing."""
    _check_may_change(connection, principal, assistant_id)
    versions.roll_back(connection, ASSISTANTS, assistant_id, version, user_id=principal.user_id)
    return assistants.get(connection, assistant_id)


def _check_may_change(connection: Connection, principal: Principal, assistant_id: UUID) -> None:
    """Raise NotFound unless the assistant is the caller's own, and ScopeMissing if everybody uses it and the caller is not an admin."""
    if versions.is_shared(connection, ASSISTANTS, assistant_id, user_id=principal.user_id):
        principal.require("admin")


def _check_documents(connection: Connection, user_id: UUID, settings: Mapping[str, Any]) -> None:
    """Raise NotFound if the settings name a document that the user cannot read."""
    named = settings.get("documents")
    if isinstance(named, list):
        documents.check_readable(connection, [UUID(document_id) for document_id in named], user_id=user_id)
