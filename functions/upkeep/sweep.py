"""The sweep: a scheduled run that deletes expired rows, ends stale turns, and queues lost jobs and incomplete documents again.

A document is incomplete if ingestion has stalled for half an hour, or if it is ready but lacks embeddings: after an outage,
after the month's budget ran out, or because the catalogue names another embedding model. Ingestion continues where it
stopped, or fails the document if its file was never uploaded. The same holds for an import of conversations.
"""

from collections.abc import Callable
from functools import partial

from functions.upkeep import stale_turns, user_data
from functions.upkeep.schedules import restart_lost_runs, start_due
from functions.upkeep.services import UpkeepServices
from functions.upkeep.webhooks import send_lost_deliveries, warn_of_low_pools
from parley.db import idempotency, outbox, unfinished_documents
from parley.db.accounts import (
    api_keys,
    audit,
    deployment_audit,
    exports,
    invites,
    login_throttle,
    oidc,
    one_time_codes,
    passkeys,
    sessions,
    signups,
)
from parley.db.engine import Connection, Engine
from parley.db.groups import membership
from parley.db.imports import imports
from parley.db.links import shared_links as links
from parley.db.metering import budgets, quotas
from parley.db.responses_api import client_conversations, responses
from parley.db.schedules import runs
from parley.db.scim import tokens as scim_tokens
from parley.db.transactions import global_scope
from parley.db.turn import turn_begin, turn_events
from parley.db.webhooks import deliveries
from parley.errors import NotFound
from parley.jobs import OutboxJob
from parley.observability import logger

# A user waits for an export, so it fails after this many attempts. Erasures and follow-up jobs are retried for ever.
MAX_EXPORT_ATTEMPTS = 5
_RESEND_BATCH = 100

# By then the lease of a worker that died has expired, and its takeover message has arrived.
_STALLED_AFTER_S = 1800.0
_DOCUMENT_BATCH = 500
# A sweep has 100 seconds. The next sweep queues the rest.
_MAX_DOCUMENTS = 20_000

_EXPIRED_ROWS: dict[str, Callable[[Connection], int]] = {
    "guesses": login_throttle.sweep,
    "signups": signups.sweep,
    "invites": invites.sweep,
    "group_invitations": membership.sweep,
    "codes": one_time_codes.sweep,
    "oidc_logins": oidc.sweep_logins,
    "oidc_logout_tokens": oidc.sweep_logout_tokens,
    "passkey_challenges": passkeys.sweep_challenges,
    "idempotency_keys": idempotency.sweep,
    "sessions": sessions.sweep,
    "budget_reservations": budgets.sweep,
    "rate_limits": quotas.sweep_rate_limits,
    "exports": exports.sweep,
    "imports": imports.sweep,
    "api_keys": api_keys.sweep,
    "audit_events": audit.sweep,
    "deployment_audit": deployment_audit.sweep,
    "turn_keys": turn_begin.release_expired_keys,
    "turn_events": turn_events.sweep,
    "responses": responses.sweep,
    "response_pieces": responses.sweep_pieces,
    "client_conversations": client_conversations.sweep,
    "shared_links": links.sweep,
    "webhook_deliveries": deliveries.sweep,
    "schedule_runs": runs.sweep,
    "scim_tokens": scim_tokens.sweep,
}


def sweep(services: UpkeepServices) -> dict[str, int | None]:
    """Run every part, and return how many rows each part deleted, ended or queued, or None for a part that failed."""
    # Turns come before expired rows: the cost of a stale turn is settled from its reservations.
    counts = {"interrupted": _count_or_log("interrupted", partial(stale_turns.end_stale_turns, services))}
    counts["approvals_expired"] = _count_or_log("approvals_expired", partial(stale_turns.end_expired_turns, services))
    counts |= {name: _count_or_log(name, partial(_delete_rows, services.background, delete)) for name, delete in _EXPIRED_ROWS.items()}
    counts["documents"] = _count_or_log("documents", partial(requeue_stalled, services))
    counts["stalled_imports"] = _count_or_log("stalled_imports", partial(requeue_stalled_imports, services))
    counts["vectors"] = _count_or_log("vectors", partial(requeue_without_vectors, services))
    counts["schedules_started"] = _count_or_log("schedules_started", partial(start_due, services))
    counts["runs_restarted"] = _count_or_log("runs_restarted", partial(restart_lost_runs, services))
    counts["pool_warnings"] = _count_or_log("pool_warnings", partial(warn_of_low_pools, services))
    counts["events_sent_again"] = _count_or_log("events_sent_again", partial(send_lost_deliveries, services))
    return counts | {"sent_again": _count_or_log("sent_again", partial(resend_due, services))}


def recover(services: UpkeepServices) -> dict[str, int | None]:
    """End stale turns, start due prompts, queue lost jobs again, and return the number of each. A failure is left to the sweep."""
    return {
        "interrupted": _count_or_log("interrupted", partial(stale_turns.end_stale_turns, services)),
        "schedules_started": _count_or_log("schedules_started", partial(start_due, services)),
        "runs_restarted": _count_or_log("runs_restarted", partial(restart_lost_runs, services)),
        "pool_warnings": _count_or_log("pool_warnings", partial(warn_of_low_pools, services)),
        "events_sent_again": _count_or_log("events_sent_again", partial(send_lost_deliveries, services)),
        "sent_again": _count_or_log("sent_again", partial(resend_due, services)),
    }


def resend_due(services: UpkeepServices) -> int:
    """Queue every outbox entry that is due, and return the number of entries.

    Entries in a batch are postponed: if a message is lost, its entry is due again after 15 minutes.
    """
    count = 0
    while entries := _take_due(services.background):
        for entry in entries:
            _resend_or_give_up(services, entry)
        count += len(entries)
    return count


def requeue_stalled(services: UpkeepServices) -> int:
    """Queue the documents that no worker has processed for half an hour, and return their number. Raises Unavailable."""
    with global_scope(services.background) as connection:
        stalled = unfinished_documents.find_stalled(connection, limit=_MAX_DOCUMENTS, older_than_s=_STALLED_AFTER_S)
    return services.ingest_queue.send_all(stalled)


def requeue_stalled_imports(services: UpkeepServices) -> int:
    """Queue the imports that no worker has processed for half an hour, and return their number. Raises Unavailable."""
    with global_scope(services.background) as connection:
        stalled = imports.find_stalled(connection, limit=_MAX_DOCUMENTS, older_than_s=_STALLED_AFTER_S)
    for user_id, import_id in stalled:
        services.ingest_queue.send_import(import_id, user_id=user_id)
    return len(stalled)


def requeue_without_vectors(services: UpkeepServices) -> int:
    """Queue ready documents that lack vectors of the current embedding model, and return their number. Raises Unavailable."""
    model = services.embedding_model()
    count = 0
    last = None
    while model and count < _MAX_DOCUMENTS:
        with global_scope(services.background) as connection:
            batch = unfinished_documents.find_without_vectors(connection, model=model, limit=_DOCUMENT_BATCH, after=last)
        count += services.ingest_queue.send_all(batch)
        if len(batch) < _DOCUMENT_BATCH:
            break
        last = batch[-1]
    return count


def _count_or_log(name: str, part: Callable[[], int]) -> int | None:
    try:
        return part()
    except Exception:
        # Continue with the other parts, which do not depend on this part.
        logger.exception("sweep_part_failed", part=name)
        return None


def _delete_rows(background: Engine, delete: Callable[[Connection], int]) -> int:
    with global_scope(background) as connection:
        return delete(connection)


def _take_due(background: Engine) -> list[outbox.OutboxEntry]:
    with global_scope(background) as connection:
        return outbox.take_due(connection, limit=_RESEND_BATCH)


def _resend_or_give_up(services: UpkeepServices, entry: outbox.OutboxEntry) -> None:
    if entry.topic != "export" or entry.attempts <= MAX_EXPORT_ATTEMPTS:
        queue = services.memory_queue if entry.topic in outbox.FOLLOW_UP_TOPICS else services.queue
        queue.send(OutboxJob.of(entry))
        return
    try:
        user_data.give_up_export(services.engine, entry)
    except NotFound as exc:
        logger.info("job_skipped", entry_id=str(entry.id), reason=str(exc))
