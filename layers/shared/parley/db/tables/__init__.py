"""The tables after the newest migration. A test compares these definitions with the migrations.

Every tenant table's primary key starts with `user_id`, and foreign keys include it, so that the schema can be sharded by user.
`users`, `signups`, `invites`, `oidc_logins`, `oidc_logout_tokens`, `passkey_challenges`, `guesses`, `breakers`, `mcp_listings`,
`schedule_alarm`, `groups`, `group_invitations`, `group_budgets`, `deployment_audit` and `scim_tokens` are global. See docs/adr/0002.
"""

from parley.db.tables.accounts import (
    api_keys,
    audit_events,
    credentials,
    oidc_identities,
    one_time_codes,
    passkeys,
    recovery_codes,
    refresh_tokens,
    second_factors,
    sessions,
    users,
)
from parley.db.tables.assistants import (
    assistant_shares,
    assistant_versions,
    assistants,
    prompt_shares,
    prompt_versions,
    prompts,
)
from parley.db.tables.audit import deployment_audit
from parley.db.tables.columns import metadata
from parley.db.tables.conversations import conversations, feedback, messages
from parley.db.tables.documents import chunks, documents
from parley.db.tables.groups import document_shares, group_budgets, group_invitations, group_members, groups
from parley.db.tables.jobs import exports, idempotency_keys, imports, outbox
from parley.db.tables.links import shared_links
from parley.db.tables.memory import memories, memory_sources, passages, summaries
from parley.db.tables.metering import breakers, budget_reservations, budgets, rate_limits, usage
from parley.db.tables.projects import project_documents, projects
from parley.db.tables.registration import guesses, invites, oidc_logins, oidc_logout_tokens, passkey_challenges, signups
from parley.db.tables.responses import client_conversations, client_items, response_pieces, responses
from parley.db.tables.schedules import schedule_alarm, schedule_runs, scheduled_prompts
from parley.db.tables.scim import scim_tokens, scim_users
from parley.db.tables.tools import mcp_listings, mcp_servers, tool_settings
from parley.db.tables.turns import approvals, stream_leases, turn_events, turns
from parley.db.tables.webhooks import webhook_deliveries, webhooks

__all__ = [
    "api_keys",
    "approvals",
    "assistant_shares",
    "assistant_versions",
    "assistants",
    "audit_events",
    "breakers",
    "budget_reservations",
    "budgets",
    "chunks",
    "client_conversations",
    "client_items",
    "conversations",
    "credentials",
    "deployment_audit",
    "document_shares",
    "documents",
    "exports",
    "feedback",
    "group_budgets",
    "group_invitations",
    "group_members",
    "groups",
    "guesses",
    "idempotency_keys",
    "imports",
    "invites",
    "mcp_listings",
    "mcp_servers",
    "memories",
    "memory_sources",
    "messages",
    "metadata",
    "oidc_identities",
    "oidc_logins",
    "oidc_logout_tokens",
    "one_time_codes",
    "outbox",
    "passages",
    "passkey_challenges",
    "passkeys",
    "project_documents",
    "projects",
    "prompt_shares",
    "prompt_versions",
    "prompts",
    "rate_limits",
    "recovery_codes",
    "refresh_tokens",
    "response_pieces",
    "responses",
    "schedule_alarm",
    "schedule_runs",
    "scheduled_prompts",
    "scim_tokens",
    "scim_users",
    "second_factors",
    "sessions",
    "shared_links",
    "signups",
    "stream_leases",
    "summaries",
    "tool_settings",
    "turn_events",
    "turns",
    "usage",
    "users",
    "webhook_deliveries",
    "webhooks",
]
