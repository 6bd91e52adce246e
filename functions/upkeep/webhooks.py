"""Delivers events to web hooks, with growing pauses between attempts.

A pause longer than SQS's longest delay is several messages, of which only the last one touches the database, so that a paused database
stays paused.
"""

from datetime import datetime, timedelta
from uuid import UUID

from functions.upkeep.services import UpkeepServices
from functions.upkeep.webhook_client import DeliveryResult
from parley.clock import utc_now
from parley.db.engine import Connection
from parley.db.groups import pools
from parley.db.metering.quotas import LOW_SHARE
from parley.db.transactions import global_scope, user_scope
from parley.db.webhooks import deliveries, webhooks
from parley.db.webhooks.deliveries import ClaimedDelivery, DeliveryStatus
from parley.errors import NotFound
from parley.jobs import DeliverEvent
from parley.metering.budget_alert import note_pool_warning
from parley.observability import logger

# The pauses before the second and each later attempt.
PAUSES_S = (10, 60, 600, 3600, 21_600)
# After so many given-up deliveries in a row, a web hook is disabled.
MAX_FAILURES = 5
_BATCH = 100


def deliver_event(services: UpkeepServices, job: DeliverEvent) -> None:
    """Attempt a delivery that is due, and queue the next attempt if it fails. Queue a delivery that is not due yet again.

    Raises NotFound if the user was deleted, and Unavailable.
    """
    if job.due_at and job.due_at > utc_now():
        services.queue.send_at(job, job.due_at)
        return
    with user_scope(services.engine, job.user_id) as connection:
        if (delivery := deliveries.claim(connection, job.delivery_id, user_id=job.user_id)) is None:
            return
        try:
            target = webhooks.target(connection, delivery.webhook_id, user_id=job.user_id)
        except NotFound:
            _end(connection, delivery, DeliveryResult(error="The web hook is disabled."), "failed", user_id=job.user_id)
            return
    _store_result(services, job, delivery, services.webhook_client.post(delivery, target, user_id=job.user_id))


def send_lost_deliveries(services: UpkeepServices) -> int:
    """Queue the deliveries whose messages were lost, and return their number. Raises Unavailable."""
    count = 0
    while True:
        with global_scope(services.background) as connection:
            batch = deliveries.take_lost(connection, limit=_BATCH)
        for user_id, delivery_id in batch:
            services.queue.send(DeliverEvent(user_id, delivery_id))
        count += len(batch)
        if len(batch) < _BATCH:
            return count


def warn_of_low_pools(services: UpkeepServices) -> int:
    """Note the event `budget.warning` for the owners of groups whose pool is nearly spent, and queue its deliveries.

    The members' calls cannot do it: they may store nothing for another user. Returns the number of deliveries. Raises Unavailable.
    """
    with global_scope(services.background) as connection:
        low = pools.low_pools(connection, share=LOW_SHARE)
    count = 0
    for pool in low:
        with user_scope(services.engine, pool.owner_id) as connection:
            noted = note_pool_warning(connection, pool, user_id=pool.owner_id)
        for delivery_id in noted:
            services.queue.send(DeliverEvent(pool.owner_id, delivery_id))
        count += len(noted)
    return count


def _store_result(services: UpkeepServices, job: DeliverEvent, delivery: ClaimedDelivery, result: DeliveryResult) -> None:
    is_last = delivery.attempts > len(PAUSES_S)
    status: DeliveryStatus = "delivered" if result.is_delivered else "failed" if is_last else "pending"
    due_at = utc_now() + timedelta(seconds=PAUSES_S[delivery.attempts - 1] if status == "pending" else 0)
    with user_scope(services.engine, job.user_id) as connection:
        _end(connection, delivery, result, status, user_id=job.user_id, due_at=due_at)
        if status == "delivered":
            webhooks.reset_failures(connection, delivery.webhook_id, user_id=job.user_id)
        elif status == "failed" and webhooks.count_failure(connection, delivery.webhook_id, user_id=job.user_id, most=MAX_FAILURES):
            logger.warning("webhook_disabled", webhook_id=str(delivery.webhook_id))
    logger.info("event_delivery_attempted", delivery_id=str(delivery.id), status=status, response_status=result.status)
    if status == "pending":
        services.queue.send_at(DeliverEvent(job.user_id, delivery.id, due_at), due_at)


def _end(
    connection: Connection,
    delivery: ClaimedDelivery,
    result: DeliveryResult,
    status: DeliveryStatus,
    *,
    user_id: UUID,
    due_at: datetime | None = None,
) -> None:
    deliveries.end_attempt(
        connection,
        delivery.id,
        user_id=user_id,
        status=status,
        due_at=due_at or utc_now(),
        response_status=result.status,
        error=result.error,
    )
