"""Every function of `parley.db` that works on one user's rows, and arguments that name the rows of a user or no rows.

The functions are found by their signatures, and the arguments by the names of the parameters, so that a new function is called too.
A parameter that is not named here gets a value of its type.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from types import GeneratorType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.exc import InternalError

from parley import db
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts.authorization_codes import NewAuthorization
from parley.db.accounts.oidc import LoginCode, OidcSession
from parley.db.accounts.sessions import NewSession
from parley.db.assistants.assistants import ASSISTANTS
from parley.db.assistants.prompts import ImportedPrompt, PromptVersion
from parley.db.chunks import FoundChunk, NewChunk
from parley.db.groups.shares import DOCUMENTS
from parley.db.memories import MemoryOrigin
from parley.db.metering.quotas import BillingSubject, DefaultLimits, ReservationDetail
from parley.db.metering.usage import Charge
from parley.db.responses_api.responses import StoredResponse
from parley.db.search import WindowStart
from parley.db.tables import metadata
from parley.db.turn.approvals import Approval
from parley.db.turn.turn_begin import IdempotencyKey, NewTurn
from parley.db.turn.turn_checkpoint import Checkpoint
from parley.db.turn.turn_end import TurnResult
from parley.db.turn.turn_events import LoggedEvent
from parley.db.vectors import Vector
from parley.ids import new_id
from parley.memory.passages import Passage
from tests.shared.db.row_states import NOW
from tests.support.tenant_fixture import TABLES_WITHOUT_OWNER, TenantFixture

# These open transactions or set up the database; or they administer accounts, which the routes allow to admins only.
OTHER_MODULES = {"bootstrap", "engine", "row_page", "transactions", "administration"}
# A group belongs to several users: its own tests say who may do what.
GROUP_PARAMETERS = {"group_id", "group_ids"}
USER_PARAMETERS = {"user_id", "billing_subject", "new_turn"}
# These read the user from the transaction's setting.
BY_SETTING = {"search.search_facts", "chunks.search_chunks"}
LATER = NOW + timedelta(days=1)
VECTOR = Vector("other", [1.0])
_VOLATILE = re.compile(r"UUID\('[0-9a-f-]{36}'\)|datetime\.datetime\([^()]*(?:\([^()]*\))?[^()]*\)|[0-9]+\.[0-9]{2,}")


def repository_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the functions with their names, such as `conversations.get`."""
    for found in pkgutil.walk_packages(db.__path__, f"{db.__name__}."):
        module = found.name.rpartition(".")[2]
        if found.ispkg or ".migrations" in found.name or ".tables" in found.name or module in OTHER_MODULES:
            continue
        for name, function in vars(import_module(found.name)).items():
            if inspect.isfunction(function) and function.__module__ == found.name and not name.startswith("_"):
                parameters = inspect.signature(function).parameters
                is_of_user = USER_PARAMETERS & parameters.keys() or f"{module}.{name}" in BY_SETTING
                if is_of_user and {"connection", "engine"} & parameters.keys() and not GROUP_PARAMETERS & parameters.keys():
                    yield f"{module}.{name}", function


@dataclass(frozen=True)
class Rows:
    """The ids and texts by which a call names rows: those of a user with a row in every table, or ids and texts of no row."""

    id_of: Callable[[str], UUID]
    text_of: Callable[[str, str], str]

    @classmethod
    def of(cls, owner: TenantFixture) -> "Rows":
        """Name the rows of `owner`."""
        return cls(owner.id_of, lambda table, column: owner.marker_of(metadata.tables[table].c[column]))

    @classmethod
    def missing(cls) -> "Rows":
        """Name rows that do not exist."""
        return cls(lambda _: new_id(), lambda *_: "missing")

    def arguments(self, caller: UUID, name: str) -> dict[str, Any]:
        """Return the values of all parameters, for the function with this name called by `caller`."""
        return self._ids() | self._texts() | _VALUES | self._objects(caller) | self._exceptions().get(name, {}) | {"user_id": caller}

    def _ids(self) -> dict[str, Any]:
        names = {table.removesuffix("s"): table for table, found in metadata.tables.items() if "id" in found.c}
        names |= {"memory": "memories", "key": "api_keys", "server": "mcp_servers", "entry": "outbox", "image": "messages"}
        names |= {"link": "shared_links"}
        names |= {"delivery": "webhook_deliveries", "schedule": "scheduled_prompts", "run": "schedule_runs"}
        ids: dict[str, Any] = {f"{name}_id": self.id_of(table) for name, table in names.items()}
        ids |= {f"{name}s": [ids[name]] for name in ("conversation_id", "document_id", "message_id", "response_id")}
        ids["object_id"] = ids["document_id"]
        return ids | {"ids": [ids["memory_id"]], "supersedes": [ids["memory_id"]], "passage_ids": [self.id_of("passages")]}

    def _texts(self) -> dict[str, Any]:
        password_hash = self.text_of("credentials", "password_hash")
        texts: dict[str, Any] = {"key": self.text_of("idempotency_keys", "key"), "route": self.text_of("idempotency_keys", "route")}
        texts |= {"sha256": self.text_of("documents", "sha256").encode(), "call_id": self.text_of("approvals", "call_id")}
        texts |= {"token_hash": self.text_of("refresh_tokens", "hash").encode(), "password_hash": password_hash, "old": password_hash}
        return texts | {"query": f"{self.text_of('memories', 'text')} {self.text_of('passages', 'text')} {self.text_of('chunks', 'text')}"}

    def _objects(self, caller: UUID) -> dict[str, Any]:
        conversation_id, turn_id, message_id = self.id_of("conversations"), self.id_of("turns"), self.id_of("messages")
        session_id, key = new_id(), (self.text_of("turns", "route"), self.text_of("turns", "idempotency_key"))
        resource = ("client", "name", ["mcp:tools"], b"new code", "http://127.0.0.1/", "challenge", "resource", LATER)
        return {
            "authorization": NewAuthorization(session_id, self.id_of("sessions"), *resource),
            "session": NewSession(session_id, b"new token", LATER, False),
            "billing_subject": BillingSubject(caller),
            "reservations": [self.id_of("budget_reservations")],
            "detail": ReservationDetail(turn_id, "m", "p"),
            "origins": [MemoryOrigin(conversation_id, message_id)],
            "idempotency_key": IdempotencyKey(*key, b"print"),
            "response": StoredResponse(self.id_of("responses"), None, [], {}),
            "subjects": {caller: 1},
            "new_turn": NewTurn(
                **{"turn_id": new_id(), "user_id": caller, "conversation_id": conversation_id, "last_seq": 1, "title": None},
                **{"user_message_id": new_id(), "parts": [], "tokens": 1, "model": "m", "idempotency_key": None, "entries": [ENTRY]},
            ),
            "turn_result": TurnResult("completed", new_id(), [{"type": "text", "text": "x"}], "m", [ENTRY], ENTRY.number, question="x"),
        }

    def _exceptions(self) -> dict[str, dict[str, Any]]:
        of_client = {"conversation_id": self.id_of("client_conversations")}
        of_assistant = {"object_id": self.id_of("assistants"), "number": 1, "changes": {"name": "x"}}
        return {
            **{f"versions.{name}": of_assistant for name in ("change", "roll_back", "version", "page", "set_shared", "remove")},
            **{f"versions.{name}": of_assistant for name in ("has", "is_shared")},
            "versions.add": {"object_id": new_id(), "settings": {"name": "x", "instructions": "x", "memory": "all"}},
            "oidc.start_session": {"session": OidcSession(new_id(), "x", None, LATER), "token_hash": b"new"},
            "oidc.start_session_by_code": {
                "session": OidcSession(new_id(), "x", None, LATER),
                "code": LoginCode(b"new", "http://127.0.0.1/", "challenge", LATER),
            },
            "passkeys.add": {"passkey_id": new_id()},
            "passkeys.find_credential": {"credential_id": self.text_of("passkeys", "credential_id").encode()},
            "second_factors.confirm": {"hashes": [b"new"]},
            "second_factors.use_recovery_code": {"code_hash": self.text_of("recovery_codes", "hash").encode()},
            "messages.add": {"message_id": new_id()},
            "shared_links.add": {"link_id": new_id()},
            "authorization_codes.lock": {"code_hash": self.text_of("authorization_codes", "hash").encode()},
            "authorization_codes.redeem": {"code_hash": self.text_of("authorization_codes", "hash").encode(), "token_hash": b"new"},
            "one_time_codes.redeem": {"code_hash": self.text_of("one_time_codes", "hash").encode()},
            "chunks.put_vectors": {"vectors": {0: VECTOR}},
            "chunks.with_neighbour": {
                "place": 1,
                "found": [FoundChunk(new_id(), self.id_of("documents"), "", 1, "", "", None, 0, 1, None, None)],
            },
            "memories.put_vectors": {"rows": [(self.id_of("memories"), self.text_of("memories", "text"))], "vectors": [VECTOR]},
            "passages.put_vectors": {"rows": [(self.id_of("passages"), "x")], "vectors": [VECTOR]},
            "passages.add_missing": {"vectors": None},
            "memories.add": {"memory_id": new_id(), "origins": []},
            "api_keys.add": {"key_id": new_id()},
            "conversations.add": {"conversation_id": new_id()},
            "documents.add": {"document_id": new_id()},
            "documents.change": {"changes": {"is_shared": True}},
            "exports.add": {"export_id": new_id()},
            "projects.add": {"project_id": new_id()},
            "prompts.add": {"prompt_id": new_id()},
            "prompts.restore": {"prompt": ImportedPrompt(new_id(), "x", NOW, [_PROMPT_VERSION])},
            "projects.change": {"changes": {"name": "x"}},
            # With a project of the owner, another user would be refused because of the project already.
            "bulk_changes.change_many": {"project_id": None, "action": "archive"},
            "mcp_servers.add": {"server_id": new_id()},
            "webhooks.add": {"webhook_id": new_id()},
            "scheduled_prompts.add": {"schedule_id": new_id(), "next_at": LATER},
            "scheduled_prompts.change": {"changes": {"prompt": "x"}},
            "steering_messages.add": {"message_id": "key_1"},
            "summaries.add": {"upto_seq": 2},
            "idempotency.store_response": {"response": {}},
            "responses.begin": {"response": StoredResponse(new_id(), None, [], {})},
            "responses.record_pieces": {"pieces": [["text", "x"]], "number": 7},
            "responses.pieces_after": {"count": 0},
            "responses.finish": {"document": {"output": []}},
            "client_conversations.create": {"conversation_id": new_id(), "metadata": {}},
            "client_conversations.get": of_client,
            "client_conversations.change": of_client | {"metadata": {}},
            "client_conversations.remove": of_client,
            "client_conversations.items": of_client,
            "client_conversations.add_items": of_client | {"new": [{"id": "item_2"}]},
            "client_conversations.remove_item": of_client | {"item_id": "item_1"},
            "turn_checkpoint.lock_turn": {"conversation_too": True},
            "turns.progress": {"after": 0},
            "turns.read_events": {"after": 0},
            "users.change": {"changes": {"display_name": "x"}},
            "tool_settings.change": {"changes": {"is_enabled": True}, "name": "server.tool"},
        }


ENTRY = LoggedEvent(99, "text.delta", {"texts": ["x"]})
_PROMPT_VERSION = PromptVersion(version=3, created_at=NOW, description=None, text="x")
_PASSAGE = Passage(1, 1, "x", NOW)
_VALUES: dict[str, Any] = {
    "after": None, "limit": 10**6, "max_bytes": 10**9, "model": "other", "number": 0, "seq": 1, "upto_seq": 1, "first_seq": 1,
    "last_seq": 1, "title": "x", "name": "x", "text": "x", "error": "x", "reason": "x", "code": "x", "note": "x", "description": "x",
    "server": "server", "url": "x", "headers": b"x", "tools": [], "role": "user", "source": "user", "topic": "summary",
    "purpose": "reset_password", "event": "login", "origin": ClientOrigin("192.0.2.1"), "reset_buckets": None, "email": "x@example.com",
    "display_name": None, "new": "x", "file_key": "x", "code_hash": b"new", "successor_hash": b"new", "fingerprint": b"new",
    "lifetime": timedelta(hours=1), "expires_at": LATER, "at": NOW, "start": NOW - timedelta(days=2), "end": NOW + timedelta(days=2),
    "idle": timedelta(days=9), "default_days": 1, "default_usd": Decimal(5), "amount_usd": Decimal(1),
    "default_limits": DefaultLimits(9, Decimal(5)), "tokens": 1, "output_tokens": 9, "chunks": 1, "progress": 0.5, "lease_s": 30.0,
    "held_until": NOW,
    "is_due": True, "is_approved": True, "is_shared": False, "id": UUID(int=1), "vector": None, "window_start": WindowStart(None, 0),
    "facts": 9, "passages": 9, "half_life_days": 30.0, "changes": {"title": "x"}, "parts": [], "order": "asc", "max_running": 9,
    "checkpoint": Checkpoint(), "entries": [ENTRY], "requested": [Approval("new", "x", {})],
    "new_chunks": [NewChunk(1, "x", "x", None, 0, 1)], "turn_passages": [_PASSAGE], "missing": [_PASSAGE],
    "imported": [_PASSAGE], "left": {}, "variants": True, "sharable": DOCUMENTS, "versioned": ASSISTANTS,
    "charges": [Charge(UUID(int=2), "chat", "m", "p", "completed")],
}  # fmt: skip


def call(name: str, function: Callable[..., Any], connection: Connection, caller: UUID, rows: Rows) -> str:
    """Call the function, and return its result or the type of its error, without ids and times."""
    known = rows.arguments(caller, name) | {"connection": connection, "engine": connection.engine}
    arguments = {
        parameter.name: known[parameter.name] if parameter.name in known else value_of_type(parameter.annotation)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind != parameter.VAR_KEYWORD and (parameter.name in known or parameter.default is parameter.empty)
    }
    try:
        result = function(**arguments, **_FURTHER.get(name, {}))
        result = [(table, list(found)) for table, found in result] if isinstance(result, GeneratorType) else result
    except (KeyError, TypeError):  # of an argument that the function does not take
        raise
    except Exception as exc:
        return f"raises {type(exc).__name__}"
    return _VOLATILE.sub("…", repr(result))


def value_of_type(annotation: Any) -> Any:
    """Return a value of a parameter's type: empty, or one that stands for nothing stored."""
    annotation = getattr(annotation, "__value__", annotation)
    kind, choices = get_origin(annotation) or annotation, get_args(annotation)
    if type(None) in choices:
        return None
    if kind is Literal:
        return choices[0]
    if kind in _PLAIN:
        return _PLAIN[kind]
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(
            **{field.name: value_of_type(hints[field.name]) for field in fields(kind) if field.default is MISSING is field.default_factory}
        )
    return {} if issubclass(kind, Mapping) else []


_PLAIN: dict[Any, Any] = {bool: True, int: 1, float: 1.0, str: "x", bytes: b"new", UUID: UUID(int=3), datetime: NOW, Decimal: Decimal(1)}
_PLAIN |= {timedelta: timedelta(hours=1), object: None}
_FURTHER = {
    "api_keys.add": {"name": "x", "scopes": ["chat"], "expires_at": LATER},
    "scheduled_prompts.add": {"prompt": "x"},
    "documents.add": {"title": "x", "filename": "x", "content_type": "x", "bytes": 1, "sha256": b"new"},
}
OWNED_TABLES = [table for table in metadata.tables.values() if table.name not in TABLES_WITHOUT_OWNER and "user_id" in table.c]
_HASH = "SELECT '{0}', md5(string_agg(t::text, '' ORDER BY t::text)) FROM {0} t WHERE {1} = :id AND t::text LIKE ANY(:marks)"
_DIGEST = " UNION ALL ".join([*(_HASH.format(table.name, "user_id") for table in OWNED_TABLES), _HASH.format("users", "id")])


def digest(connection: Connection, owner: UUID, marks: Iterable[str] = ("",)) -> dict[str, str]:
    """Return a hash of the owner's rows by table; with `marks`, of those that contain one of these texts."""
    return dict(connection.execute(text(_DIGEST), {"id": owner, "marks": [f"%{mark}%" for mark in marks]}).all())  # type: ignore[arg-type]


def changed_tables(connection: Connection, owner: UUID, before: Mapping[str, str], marks: Iterable[str] = ("",)) -> set[str]:
    """Return the tables whose digest is not that of `before`; none after a call that broke a constraint."""
    try:
        after = digest(connection, owner, marks)
    except InternalError:  # the database accepts nothing until the rollback
        return set()
    return {table for table in before if before[table] != after[table]}
