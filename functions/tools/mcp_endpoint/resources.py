"""MCP resources: the text of the documents that the user may read, and the user's conversations.

A client reads those for which its token has the scope. A list begins with the documents, newest first, and continues with the
conversations, most recently active first.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from functions.tools.mcp_endpoint.jsonrpc import INVALID_PARAMS, ResourceNotFound, RpcError
from functions.tools.services import ToolsServices
from parley.auth.principal import Principal
from parley.clock import rfc3339
from parley.db import chunks, conversations, documents, messages
from parley.db.conversations import Conversation, ConversationCursor
from parley.db.documents import Document
from parley.db.engine import Connection
from parley.db.transactions import principal_scope
from parley.errors import NotFound
from parley.http.paging import PAGE_BYTES

PAGE_ITEMS = 100
MAX_CHUNKS = 2_000
MAX_MESSAGES = 1_000
CUT = "\n\n[The rest is left out.]"
_OVERLAP_LETTERS = range(2_000, 20, -1)
_PREFIXES = {"documents": "parley://documents/", "conversations": "parley://conversations/"}

# The kind of the next resource, and the sort key of the one before it.
type Cursor = (
    tuple[Literal["documents"]]
    | tuple[Literal["documents"], UUID]
    | tuple[Literal["conversations"]]
    | tuple[Literal["conversations"], AwareDatetime, UUID]
)
_CURSOR: TypeAdapter[Cursor] = TypeAdapter(Cursor)

type Params = Mapping[str, Any]
type Found = tuple[list[dict[str, Any]], list[Any] | None]


def list_resources(services: ToolsServices, principal: Principal, params: Params) -> dict[str, Any]:
    """Return a page of resources. Raises RpcError for a cursor of another list."""
    kinds = [kind for kind in _PREFIXES if kind in principal.scopes]
    kind, *after = _parse_cursor(params.get("cursor")) or (kinds or [""])[:1]
    if kind not in kinds:
        return {"resources": []}
    with principal_scope(services.engine, principal) as connection:
        page = _documents if kind == "documents" else _conversations
        resources, cursor = page(connection, principal.user_id, after)
    if cursor is None and kind != kinds[-1]:
        cursor = [kinds[-1]]
    return {"resources": resources} | ({"nextCursor": _cursor_text(cursor)} if cursor else {})


def list_templates(_services: ToolsServices, principal: Principal, _params: Params) -> dict[str, Any]:
    """Return the forms of the resources' addresses."""
    return {
        "resourceTemplates": [
            {
                "uriTemplate": f"{prefix}{{id}}",
                "name": kind.removesuffix("s"),
                "title": f"One of the user's {kind}",
                "mimeType": "text/markdown",
            }
            for kind, prefix in _PREFIXES.items()
            if kind in principal.scopes
        ]
    }


def kind_of_template(uri: object, principal: Principal) -> str | None:
    """Return the kind of resource that a template's address is for, or None if the token has no such template."""
    return next((kind for kind, prefix in _PREFIXES.items() if uri == f"{prefix}{{id}}" and kind in principal.scopes), None)


def read_resource(services: ToolsServices, principal: Principal, params: Params) -> dict[str, Any]:
    """Return a resource's text, at most 1 MiB. Raises RpcError if there is no such resource, or the token lacks its scope."""
    uri = params.get("uri")
    if not isinstance(uri, str):
        raise RpcError(INVALID_PARAMS, "uri must be a string.")
    return {"contents": [resource_text(services, principal, uri)]}


def resource_text(services: ToolsServices, principal: Principal, uri: str) -> dict[str, Any]:
    """Return the contents of a resource. Raises RpcError."""
    kind = next((kind for kind, prefix in _PREFIXES.items() if uri.startswith(prefix) and kind in principal.scopes), None)
    try:
        if kind is None:
            raise NotFound("resource", uri)
        id = UUID(uri.removeprefix(_PREFIXES[kind]))
        with principal_scope(services.engine, principal) as connection:
            read = _document_text if kind == "documents" else _conversation_text
            text = read(connection, principal.user_id, id)
    except (NotFound, ValueError) as exc:
        raise ResourceNotFound(uri) from exc
    return {"uri": uri, "mimeType": "text/markdown", "text": text}


def _documents(connection: Connection, user_id: UUID, after: list[Any]) -> Found:
    found = documents.page(connection, user_id=user_id, limit=PAGE_ITEMS + 1, after=after[0] if after else None)
    shown = found[:PAGE_ITEMS]
    cursor = ["documents", str(shown[-1].id)] if len(found) > PAGE_ITEMS else None
    return [_describe_document(document) for document in shown if document.status == "ready"], cursor


def _conversations(connection: Connection, user_id: UUID, after: list[Any]) -> Found:
    cursor = ConversationCursor(*after) if after else None
    found = conversations.page(connection, user_id=user_id, limit=PAGE_ITEMS, max_bytes=PAGE_BYTES, after=cursor)
    last = found.rows[-1] if found.has_more else None
    return [_describe_conversation(one) for one in found.rows], (
        ["conversations", last.updated_at.isoformat(), str(last.id)] if last else None
    )


def _describe_document(document: Document) -> dict[str, Any]:
    dates = {"lastModified": rfc3339(document.created_at)}
    description = f"A document ({document.content_type})"
    return _resource("documents", document.id, document.title, description) | {"annotations": dates}


def _describe_conversation(conversation: Conversation) -> dict[str, Any]:
    dates = {"lastModified": rfc3339(conversation.updated_at)}
    return _resource("conversations", conversation.id, conversation.title or "Untitled", "A conversation") | {"annotations": dates}


def _resource(kind: str, id: UUID, name: str, description: str) -> dict[str, Any]:
    return {"uri": f"{_PREFIXES[kind]}{id}", "name": name, "title": name, "description": description, "mimeType": "text/markdown"}


def _document_text(connection: Connection, user_id: UUID, document_id: UUID) -> str:
    document = documents.get(connection, document_id, user_id=user_id)
    parts, heading, previous = [f"# {document.title}"], "", ""
    for chunk in chunks.page(connection, document_id, owner_id=document.user_id, limit=MAX_CHUNKS, after=None):
        if chunk.heading != heading:
            parts.append(f"## {chunk.heading}")
        parts.append(_without_overlap(previous, chunk.text))
        heading, previous = chunk.heading, chunk.text
    return _bounded("\n\n".join(parts), is_cut=document.chunks > MAX_CHUNKS)


def _conversation_text(connection: Connection, user_id: UUID, conversation_id: UUID) -> str:
    """Return the newest messages that fit, oldest first."""
    conversation = conversations.get(connection, conversation_id, user_id=user_id)
    found = messages.page_within(
        connection,
        conversation_id,
        user_id=user_id,
        limit=MAX_MESSAGES,
        max_bytes=PAGE_BYTES // 2,
        order="desc",
        after=None,
        variants=False,
    )
    shown = [
        f"## {utterance.role}, {rfc3339(message.created_at)}\n\n{utterance.text}"
        for message in reversed(found.rows)
        for utterance in message.utterances
    ]
    beginning = ["[Earlier messages are left out.]"] if found.has_more else []
    return _bounded("\n\n".join([f"# {conversation.title or 'Untitled'}", *beginning, *shown]), is_cut=False)


def _without_overlap(previous: str, text: str) -> str:
    """Return the text without the end of the previous chunk, which a chunk repeats."""
    return text[next((size for size in _OVERLAP_LETTERS if size <= len(text) and previous.endswith(text[:size])), 0) :]


def _bounded(text: str, *, is_cut: bool) -> str:
    limit = PAGE_BYTES // 2
    raw = text.encode()
    return raw[:limit].decode(errors="ignore") + CUT if len(raw) > limit else text + (CUT if is_cut else "")


def _parse_cursor(text: object) -> Cursor | None:
    if text is None:
        return None
    try:
        return _CURSOR.validate_json(base64.urlsafe_b64decode(str(text)))
    except (ValueError, ValidationError) as exc:
        raise RpcError(INVALID_PARAMS, "cursor is not one of this list.") from exc


def _cursor_text(cursor: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()
