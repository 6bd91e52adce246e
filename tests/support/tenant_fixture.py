"""A user with a row in every table and a recognisable marker in every column that can hold text.

The columns come from the table definitions in the code, which other tests compare with the database. A new table without
a rule fails these tests: add a rule for its row, or list the table in `TABLES_WITHOUT_OWNER`.
"""

import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, Date, DateTime, Engine, LargeBinary, Numeric, Table, Text, Uuid, insert, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError

from parley.db.tables import metadata
from parley.ids import new_id
from tests.support.api_gateway import Person

# Hashes of addresses and accounts, deleted within a month; logins in progress, deleted within a day; provider names; tool lists of
# the deployment's MCP servers; the time of the next scheduled prompt; the audit of the deployment, which has ids only; tokens of its
# identity provider.
TABLES_WITHOUT_OWNER = {
    "guesses",
    "oidc_logins",
    "oidc_logout_tokens",
    "passkey_challenges",
    "breakers",
    "mcp_listings",
    "schedule_alarm",
    "deployment_audit",
    "scim_tokens",
}
ROWS_FROM_REGISTRATION = {"users": "id", "credentials": "user_id"}  # registration inserts one row into each


class TenantFixture:
    """Inserts the rows of one user. `marker_of` returns the text stored in a column."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self.user_id, self.email, self.token = person.id, person.email, f"canary{secrets.token_hex(6)}"
        self._ids = {name: new_id() for name in metadata.tables}
        self._rules = self._make_rules()

    def _make_rules(self) -> dict[str, dict[str, Any]]:
        """Return fixed values by table, for columns that do not accept a marker."""
        ids = self._ids
        in_conversation = {"conversation_id": ids["conversations"]}
        return {
            "users": {"email": self.email, "role": "user"},
            "credentials": {},
            "sessions": {},
            "refresh_tokens": {"session_id": ids["sessions"]},
            "authorization_codes": {"session_id": ids["sessions"]},
            "api_keys": {},
            "oidc_identities": {},
            "recovery_codes": {},
            "second_factors": {},
            "passkeys": {},
            "scim_users": {},
            "one_time_codes": {"purpose": "reset_password"},
            "audit_events": {},
            "exports": {"status": "ready", "kind": "account"},
            "imports": {"status": "ready", "bytes": 1},
            "outbox": {"due_at": datetime.now(UTC) + timedelta(days=1)},
            "idempotency_keys": {},
            "signups": {"email": self.email},
            "invites": {"email": self.email, "created_by": self.user_id},
            "conversations": {"project_id": ids["projects"]},
            "projects": {"memory_scope": "all"},
            "project_documents": {"project_id": ids["projects"], "document_id": ids["documents"]},
            "messages": in_conversation | {"seq": 1, "role": "user"},
            "turns": in_conversation
            | {"user_message_id": ids["messages"], "message_id": ids["messages"], "status": "completed", "steering": []},
            "turn_events": {"turn_id": ids["turns"], "number": 1},
            "summaries": in_conversation | {"upto_seq": 1},
            "memories": {"source": "extracted", "superseded_by": None, "embedding": [0.5]},
            "memory_sources": in_conversation | {"memory_id": ids["memories"], "message_id": ids["messages"]},
            "passages": in_conversation | {"first_seq": 1, "last_seq": 1, "embedding": [0.5]},
            "approvals": {"turn_id": ids["turns"], "asked_by": 1, "place": 1},
            "usage": {"purpose": "chat", "status": "completed"},
            "budgets": {},
            "budget_reservations": {},
            "rate_limits": {},
            "stream_leases": {"kind": "follower", "slot": 1},
            "feedback": {"message_id": ids["messages"], "rating": "bad"},
            "assistants": {},
            "assistant_versions": {"assistant_id": ids["assistants"], "version": 1, "memory": "all"},
            "assistant_shares": {"assistant_id": ids["assistants"], "group_id": ids["groups"]},
            "prompts": {},
            "prompt_versions": {"prompt_id": ids["prompts"], "version": 1},
            "prompt_shares": {"prompt_id": ids["prompts"], "group_id": ids["groups"]},
            "shared_links": in_conversation | {"audience": "group", "group_id": ids["groups"]},
            "responses": {"heartbeat_at": None},
            "response_pieces": {"response_id": ids["responses"], "number": 0},
            "client_conversations": {},
            "client_items": {"conversation_id": ids["client_conversations"], "number": 1, "id": "item_1"},
            "tool_settings": {},
            "scheduled_prompts": {},
            "schedule_runs": {"schedule_id": ids["scheduled_prompts"], "status": "queued"},
            "webhooks": {},
            "webhook_deliveries": {"webhook_id": ids["webhooks"], "status": "pending"},
            "mcp_servers": {},
            "documents": {"status": "ready", "bytes": 1},
            "groups": {},
            "group_members": {"group_id": ids["groups"], "role": "owner"},
            "group_budgets": {"group_id": ids["groups"]},
            "group_invitations": {"group_id": ids["groups"], "email": self.email},
            "document_shares": {"document_id": ids["documents"], "group_id": ids["groups"]},
            "chunks": {"document_id": ids["documents"], "number": 0, "start": 0, "tokens": 1, "embedding": [0.5]},
        }

    def marker_of(self, column: Column[Any]) -> str:
        """Return the marker text of a column."""
        return f"{self.token}-{column.table.name}-{column.name}"

    def id_of(self, table: str) -> UUID:
        """Return the id of the user's row in a table with ids."""
        return self._ids[table]

    def holds_marker(self, column: Column[Any]) -> bool:
        """Return whether the column contains its marker."""
        return isinstance(column.type, Text | JSONB | LargeBinary | ARRAY) and column.name not in self._rules[column.table.name]

    def insert_rows(self, owner: Engine) -> None:
        """Insert a row into every table that has an owner column."""
        with owner.begin() as connection:
            for table in metadata.sorted_tables:
                if table.name in ROWS_FROM_REGISTRATION:
                    is_own = table.c[ROWS_FROM_REGISTRATION[table.name]] == self.user_id
                    connection.execute(update(table).where(is_own).values(self._row(table, but={"id", "user_id"})))
                elif table.name not in TABLES_WITHOUT_OWNER:
                    connection.execute(insert(table).values(self._row(table)))

    def with_further_rows(self, owner: Engine) -> "TenantFixture":
        """Insert a second row of the same user into every table that holds several; return the fixture of these rows."""
        further = TenantFixture(self._person)
        with owner.begin() as connection:
            for table in metadata.sorted_tables:
                if table.name not in ROWS_FROM_REGISTRATION and table.name not in TABLES_WITHOUT_OWNER:
                    with suppress(IntegrityError), connection.begin_nested():
                        connection.execute(insert(table).values(further._row(table)))
        return further

    @property
    def marks(self) -> list[str]:
        """Texts of which each row has one, as PostgreSQL prints it."""
        return [self.token, self.token.encode().hex(), *map(str, self._ids.values())]

    def _row(self, table: Table, *, but: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
        rules = self._rules[table.name]
        values = {column.name: self._value(column) for column in table.c if column.computed is None and column.name not in {*but, *rules}}
        return {name: value for name, value in (values | rules).items() if value is not None}

    def _value(self, column: Column[Any]) -> Any:
        text = self.marker_of(column)
        match column.type:
            case Uuid():
                return self._id_for(column)
            case DateTime():
                return datetime.now(UTC) + timedelta(days=1) if not column.nullable and column.server_default is None else None
            case Date():
                return datetime.now(UTC).date()
            case Numeric() if not column.nullable and column.server_default is None:
                return 1
            case LargeBinary():
                return text.encode()
            case JSONB():
                return [{"type": "text", "text": text}]
            case ARRAY():
                return [text]
            case Text():
                return text
        return None  # a number cannot hold a marker

    def _id_for(self, column: Column[Any]) -> UUID:
        if column.name == "user_id":
            return self.user_id
        return self._ids.setdefault(column.table.name if column.name == "id" else str(column), new_id())
