"""Makers that create an object of each kind for a user. A new `{id}` in a path needs a maker here."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import jwt
from sqlalchemy import insert

from parley.clock import utc_now
from parley.db import mcp_servers
from parley.db.accounts import passkeys
from parley.db.tables import approvals, passages, summaries
from parley.db.transactions import user_scope
from parley.db.turn import steering_messages
from parley.db.webhooks import deliveries
from parley.ids import new_id
from parley.tools.forms import form_of_model
from tests.support.api_gateway import PASSWORD, Answer, Function, Person
from tests.support.builders import upload_document
from tests.support.images import PNG_DATA_URL
from tests.support.queues import IngestFunction

type Functions = Mapping[str, Function]
type Maker = Callable[[Functions, Person], str]


def _created(answer: Answer) -> Any:
    assert answer.status in (200, 201, 202), answer.body
    return answer.json


def make_conversation(functions: Functions, owner: Person) -> str:
    """A conversation with a question and an answer, summarized and indexed."""
    from functions.chat.app import engine

    asked = {"message": f"secret of {owner.email}", "stream": False}
    id = str(_created(functions["chat"].post("/chat", asked, as_=owner))["conversation_id"])
    of_it = {"user_id": owner.id, "conversation_id": id, "text": asked["message"]}
    with user_scope(engine, owner.id) as connection:
        connection.execute(insert(summaries).values(of_it | {"upto_seq": 2, "model": "offline"}))
        connection.execute(insert(passages).values(of_it | {"id": new_id(), "first_seq": 1, "last_seq": 2, "said_at": utc_now()}))
    return id


def make_answer(functions: Functions, owner: Person) -> str:
    """A rated answer."""
    asked = {"message": f"secret of {owner.email}", "stream": False}
    id = str(_created(functions["chat"].post("/chat", asked, as_=owner))["message"]["id"])
    rating = {"rating": "bad", "reason": f"secret of {owner.email}"}
    _created(functions["conversation"].call("PUT", f"/messages/{id}/feedback", rating, as_=owner))
    return id


def make_project(functions: Functions, owner: Person) -> str:
    """A project with instructions."""
    made = {"name": f"secret of {owner.email}", "instructions": f"secret of {owner.email}"}
    return str(_created(functions["conversation"].post("/projects", made, as_=owner))["id"])


def make_link(functions: Functions, owner: Person) -> str:
    """A link to a conversation."""
    shared = {"audience": "signed_in", "expires_in_days": 1}
    path = f"/conversations/{make_conversation(functions, owner)}/links"
    return str(_created(functions["conversation"].post(path, shared, as_=owner))["id"])


_FORM = form_of_model({"questions": [{"text": "Which city?", "kind": "text", "required": False}]})
_ANSWERED = {
    "call_id": "call_2",
    "name": "ask_user",
    "question": {"call_id": "call_2", "form": _FORM.model_dump(mode="json")},
    "answers": {},
}


def make_turn(functions: Functions, owner: Person) -> str:
    """A finished turn with an approved tool call and an answered question."""
    from functions.chat.app import engine

    asked = {"message": f"secret of {owner.email}", "stream": False}
    id = str(_created(functions["chat"].post("/chat", asked, as_=owner))["turn_id"])
    approved = {"turn_id": id, "call_id": "call_1", "asked_by": 1, "place": 1, "name": "write", "arguments": {}, "is_approved": True}
    with user_scope(engine, owner.id) as connection:
        connection.execute(insert(approvals).values(user_id=owner.id, **approved))
        connection.execute(insert(approvals).values(user_id=owner.id, **approved | _ANSWERED))
        steering_messages.add(connection, UUID(id), "key_1", "In euros, please", user_id=owner.id)
    return id


def make_image(functions: Functions, owner: Person) -> str:
    """An image in a message."""
    asked = {"message": "What is this?", "images": [PNG_DATA_URL], "model": "seeing", "stream": False}
    made = _created(functions["chat"].post("/chat", asked, as_=owner))
    found = _created(functions["conversation"].get(f"/conversations/{made['conversation_id']}/messages", as_=owner))
    return str(found["items"][0]["parts"][0]["id"])


def make_session(functions: Functions, owner: Person) -> str:
    """A second session of the owner."""
    tokens = _created(functions["auth"].post("/auth/login", {"email": owner.email, "password": PASSWORD}))
    return str(jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"])


def make_api_key(functions: Functions, owner: Person) -> str:
    """An API key."""
    return str(_created(functions["auth"].post("/auth/api-keys", {"name": f"key of {owner.email}", "password": PASSWORD}, as_=owner))["id"])


def make_passkey(functions: Functions, owner: Person) -> str:
    """A passkey."""
    from functions.auth.app import services

    id, credential = new_id(), passkeys.Credential(secrets.token_bytes(16), b"a public key", 0, ["internal"])
    with user_scope(services.engine, owner.id) as connection:
        passkeys.add(connection, id, credential, user_id=owner.id, name=f"secret of {owner.email}", is_backed_up=False)
    return str(id)


def make_export(functions: Functions, owner: Person) -> str:
    """A pending export of the owner's data."""
    return str(_created(functions["auth"].post("/auth/me/exports", as_=owner))["id"])


def make_memory(functions: Functions, owner: Person) -> str:
    """A fact stored by the owner."""
    written = {"text": f"The secret of {owner.email} is {secrets.token_hex(4)}"}
    return str(_created(functions["conversation"].post("/memories", written, as_=owner))["id"])


def make_response(functions: Functions, owner: Person) -> str:
    """A stored response of the Responses API, which ran in the background."""
    asked = {"model": "offline", "input": f"secret of {owner.email}", "background": True}
    return str(_created(functions["chat"].post("/v1/responses", asked, as_=owner))["id"])


def make_client_conversation(functions: Functions, owner: Person) -> str:
    """A conversation of the Responses API, with an item."""
    items = [{"role": "user", "content": f"secret of {owner.email}"}]
    return str(_created(functions["chat"].post("/v1/conversations", {"items": items}, as_=owner))["id"])


def make_mcp_server(functions: Functions, owner: Person) -> str:
    """An MCP server that does not answer."""
    wish = {"name": f"s{secrets.token_hex(4)}", "url": "http://127.0.0.1:9/mcp"}
    return str(_created(functions["tools"].post("/tools/mcp-servers", wish, as_=owner))["id"])


def make_schedule(functions: Functions, owner: Person) -> str:
    """A scheduled prompt with two runs."""
    from functions.conversation.app import engine
    from tests.functions.upkeep.schedule_rows import add_run

    wish = {"prompt": f"secret of {owner.email}", "cron": "0 8 * * *"}
    id = str(_created(functions["conversation"].post("/schedules", wish, as_=owner))["id"])
    for _ in range(2):
        add_run(engine, owner, id)
    return id


def make_webhook(functions: Functions, owner: Person) -> str:
    """A web hook with two deliveries."""
    from functions.tools.app import engine

    wish = {"url": f"https://{owner.email.partition('@')[0]}.example.com/hook", "events": ["budget.warning"]}
    id = str(_created(functions["tools"].post("/webhooks", wish, as_=owner))["id"])
    with user_scope(engine, owner.id) as connection:
        for number in range(2):
            deliveries.note(connection, "budget.warning", user_id=owner.id, key=f"{id} {number}", data={})
    return id


def make_tool(functions: Functions, owner: Person) -> str:
    """A tool that only the owner has, discovered on the owner's MCP server."""
    from functions.tools.app import engine

    server_id = UUID(make_mcp_server(functions, owner))
    offers = [{"name": "echo", "description": f"secret of {owner.email}", "parameters": {"type": "object"}}]
    with user_scope(engine, owner.id) as connection:
        mcp_servers.store_listing(connection, server_id, user_id=owner.id, tools=offers, error=None)
        return next(one.name for one in mcp_servers.list_all(connection, user_id=owner.id) if one.id == server_id) + ".echo"


def make_user(functions: Functions, owner: Person) -> str:
    """The owner's account itself."""
    return str(owner.id)


def make_invite(functions: Functions, owner: Person) -> str:
    """An invite created by the owner, who is an admin."""
    return str(_created(functions["auth"].post("/admin/invites", {}, as_=owner))["id"])


def make_document(functions: Functions, owner: Person) -> str:
    """An ingested document with two chunks."""
    from functions.ingest import app

    text = f"# One\n\nsecret of {owner.email}\n\n# Two\n\n{new_id()}\n"
    made = str(_created(upload_document(functions["documents"], owner, text, filename="secret.md"))["id"])
    assert IngestFunction(app.handler).read(owner, made) == []
    app.engine.dispose()
    return made


def make_import(functions: Functions, owner: Person) -> str:
    """An import whose file has not been uploaded."""
    wanted = {"filename": f"secret of {owner.email}.zip", "bytes": 1000}
    return str(_created(functions["documents"].post("/conversations/imports", wanted, as_=owner))["id"])


def make_group(functions: Functions, owner: Person) -> str:
    """A group of the owner alone, to which the address of the examples is invited."""
    id = str(_created(functions["auth"].post("/auth/groups", {"name": f"secret of {owner.email}"}, as_=owner))["id"])
    invited = functions["auth"].call("PUT", f"/auth/groups/{id}/members", {"email": "somebody@example.com"}, as_=owner)
    assert invited.status == 200, invited.body
    return id


def make_assistant(functions: Functions, owner: Person) -> str:
    """An assistant with two versions."""
    wanted = {"name": "Reader", "instructions": f"secret of {owner.email}", "starters": [f"secret of {owner.email}"]}
    id = str(_created(functions["conversation"].post("/assistants", wanted, as_=owner))["id"])
    _created(functions["conversation"].call("PATCH", f"/assistants/{id}", {"description": f"secret of {owner.email}"}, as_=owner))
    return id


def make_prompt(functions: Functions, owner: Person) -> str:
    """A prompt with two versions."""
    wanted = {"name": f"p{secrets.token_hex(6)}", "text": f"secret of {owner.email}"}
    id = str(_created(functions["conversation"].post("/prompts", wanted, as_=owner))["id"])
    _created(functions["conversation"].call("PATCH", f"/prompts/{id}", {"description": f"secret of {owner.email}"}, as_=owner))
    return id


MAKERS_BY_COLLECTION: dict[str, Maker] = {
    "/assistants": make_assistant,
    "/conversations": make_conversation,
    "/conversations/imports": make_import,
    "/memories": make_memory,
    "/projects": make_project,
    "/prompts": make_prompt,
    "/messages": make_answer,
    "/links": make_link,
    "/chat/turns": make_turn,
    "/chat/images": make_image,
    "/v1/responses": make_response,
    "/v1/conversations": make_client_conversation,
    "/auth/sessions": make_session,
    "/auth/api-keys": make_api_key,
    "/auth/passkeys": make_passkey,
    "/auth/me/exports": make_export,
    "/auth/groups": make_group,
    "/documents": make_document,
    "/tools": make_tool,
    "/tools/mcp-servers": make_mcp_server,
    "/webhooks": make_webhook,
    "/schedules": make_schedule,
}
# Objects that have an id but appear in no list.
UNLISTED_COLLECTIONS = {"/messages", "/chat/turns", "/chat/images", "/v1/responses", "/v1/conversations"}
ADMIN_MAKERS_BY_COLLECTION: dict[str, Maker] = {"/admin/users": make_user, "/admin/invites": make_invite, "/admin/groups": make_group}
MAKERS_BY_FIELD: dict[str, Maker] = {
    "assistant_id": make_assistant,
    "conversation_id": make_conversation,
    "document_id": make_document,
    "group_id": make_group,
    "previous_response_id": make_response,
    "project_id": make_project,
}
