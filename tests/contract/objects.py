"""What the matrix needs one of for each kind of object: how a user makes it. A new `{id}` needs a maker here."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import jwt
from sqlalchemy import insert

from parley.clock import utc_now
from parley.db import mcp_servers
from parley.db.tables import approvals, passages, summaries
from parley.db.transactions import user_scope
from parley.ids import new_id
from tests.driving import PASSWORD, Answer, Function, Person
from tests.functions.chat.picture import PIXEL
from tests.ingesting import Ingest, upload

type Functions = Mapping[str, Function]
type Maker = Callable[[Functions, Person], str]


def _made(answer: Answer) -> Any:
    assert answer.status in (200, 201, 202), answer.body
    return answer.json


def conversation(functions: Functions, owner: Person) -> str:
    """A conversation with a question and an answer in it, which has been read: in short, and for search."""
    from functions.chat.app import engine

    asked = {"message": f"secret of {owner.email}", "stream": False}
    id = str(_made(functions["chat"].post("/chat", asked, as_=owner))["conversation_id"])
    of_it = {"user_id": owner.id, "conversation_id": id, "text": asked["message"]}
    with user_scope(engine, owner.id) as connection:
        connection.execute(insert(summaries).values(of_it | {"upto_seq": 2, "model": "offline"}))
        connection.execute(insert(passages).values(of_it | {"id": new_id(), "first_seq": 1, "last_seq": 2, "said_at": utc_now()}))
    return id


def turn(functions: Functions, owner: Person) -> str:
    """A turn that has ended, and whose user had approved a call."""
    from functions.chat.app import engine

    asked = {"message": f"secret of {owner.email}", "stream": False}
    id = str(_made(functions["chat"].post("/chat", asked, as_=owner))["turn_id"])
    approved = {"turn_id": id, "call_id": "call_1", "asked_by": 1, "place": 1, "name": "write", "arguments": {}, "is_approved": True}
    with user_scope(engine, owner.id) as connection:
        connection.execute(insert(approvals).values(user_id=owner.id, **approved))
    return id


def image(functions: Functions, owner: Person) -> str:
    """An image that a message shows."""
    asked = {"message": "What is this?", "images": [PIXEL], "model": "seeing", "stream": False}
    made = _made(functions["chat"].post("/chat", asked, as_=owner))
    found = _made(functions["conversation"].get(f"/conversations/{made['conversation_id']}/messages", as_=owner))
    return str(found["items"][0]["parts"][0]["id"])


def session(functions: Functions, owner: Person) -> str:
    """A session beside the one that the owner calls with."""
    tokens = _made(functions["auth"].post("/auth/login", {"email": owner.email, "password": PASSWORD}))
    return str(jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"])


def api_key(functions: Functions, owner: Person) -> str:
    """An API key."""
    return str(_made(functions["auth"].post("/auth/api-keys", {"name": f"key of {owner.email}"}, as_=owner))["id"])


def export(functions: Functions, owner: Person) -> str:
    """An export of the owner's data, not yet written."""
    return str(_made(functions["auth"].post("/auth/me/exports", as_=owner))["id"])


def memory(functions: Functions, owner: Person) -> str:
    """A fact that the owner wrote down."""
    written = {"text": f"The secret of {owner.email} is {secrets.token_hex(4)}"}
    return str(_made(functions["conversation"].post("/memories", written, as_=owner))["id"])


def mcp_server(functions: Functions, owner: Person) -> str:
    """A remote MCP server, which does not answer."""
    wish = {"name": f"s{secrets.token_hex(4)}", "url": "http://127.0.0.1:9/mcp"}
    return str(_made(functions["tools"].post("/tools/mcp-servers", wish, as_=owner))["id"])


def tool(functions: Functions, owner: Person) -> str:
    """A tool that only the owner has: one that a server of theirs was heard to offer."""
    from functions.tools.app import engine

    server_id = UUID(mcp_server(functions, owner))
    offers = [{"name": "echo", "description": f"secret of {owner.email}", "parameters": {"type": "object"}}]
    with user_scope(engine, owner.id) as connection:
        mcp_servers.store_listing(connection, server_id, user_id=owner.id, tools=offers, error=None)
        return next(one.name for one in mcp_servers.list_all(connection, user_id=owner.id) if one.id == server_id) + ".echo"


def user(functions: Functions, owner: Person) -> str:
    """The owner's account itself."""
    return str(owner.id)


def invite(functions: Functions, owner: Person) -> str:
    """An invite by the owner, who is an admin."""
    return str(_made(functions["auth"].post("/admin/invites", {}, as_=owner))["id"])


def document(functions: Functions, owner: Person) -> str:
    """A document of two pieces, read."""
    from functions.ingest import app

    text = f"# One\n\nsecret of {owner.email}\n\n# Two\n\n{new_id()}\n"
    made = str(_made(upload(functions["documents"], owner, text, filename="secret.md"))["id"])
    assert Ingest(app.handler).read(owner, made) == []
    app.engine.dispose()
    return made


BY_COLLECTION: dict[str, Maker] = {
    "/conversations": conversation,
    "/memories": memory,
    "/chat/turns": turn,
    "/chat/images": image,
    "/auth/sessions": session,
    "/auth/api-keys": api_key,
    "/auth/me/exports": export,
    "/documents": document,
    "/tools": tool,
    "/tools/mcp-servers": mcp_server,
}
# What has an id and stands in no list.
UNLISTED = {"/chat/turns", "/chat/images"}
ADMINS_BY_COLLECTION: dict[str, Maker] = {"/admin/users": user, "/admin/invites": invite}
BY_FIELD: dict[str, Maker] = {"conversation_id": conversation, "document_id": document}
