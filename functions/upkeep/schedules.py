"""Starts the scheduled prompts that are due, all of them by one alarm.

The alarm is a message that waits in the queue for the time of the next prompt, a quarter of an hour at a time, without the database:
a paused database wakes only for a prompt. A lost message is replaced by the next batch of messages, the recovery or the sweep.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from functions.upkeep.services import UpkeepServices
from parley.clock import utc_now
from parley.db.accounts import users
from parley.db.schedules import alarm, runs
from parley.db.schedules.alarm import DuePrompt
from parley.db.transactions import global_scope, user_scope
from parley.errors import Unavailable
from parley.jobs import RingAlarm, ScheduleNotice
from parley.observability import logger
from parley.schedule_times import InvalidSchedule, ScheduleTimes

_BATCH = 100
# By then, a run has ended or its lease has expired: a second alarm looks for runs whose worker died.
_CHECK_AFTER = timedelta(minutes=9)


def ring_alarm(services: UpkeepServices, job: RingAlarm) -> None:
    """Start the prompts that are due, or let the alarm wait on. A new alarm is dropped if an earlier one waits already."""
    now = utc_now()
    if job.due_at <= now:
        start_due(services)
        return
    if not job.is_set:
        with global_scope(services.background) as connection:
            if not alarm.set_earlier(connection, job.due_at, now=now):
                return
    services.queue.send_at(replace(job, is_set=True), job.due_at)


def start_due(services: UpkeepServices) -> int:
    """Start a run of every prompt that is due, set the alarm for the next one, and return the number of runs. Raises Unavailable."""
    now, count = utc_now(), 0

    def next_after(prompt: DuePrompt, now: datetime) -> datetime | None:
        times = ScheduleTimes(prompt.cron, prompt.every_minutes, prompt.time_zone)
        try:
            return times.next_after(now, least_minutes=services.schedule_min_minutes)
        except InvalidSchedule as exc:
            logger.warning("schedule_without_times", schedule_id=str(prompt.id), reason=str(exc))
            return None

    while True:
        with global_scope(services.background) as connection:
            batch = alarm.start_due(connection, next_after, now=now, limit=_BATCH)
            rings_at = alarm.set_again(connection, now=now) if len(batch) < _BATCH else None
        for user_id, run_id in batch:
            _start(services, user_id, run_id)
        count += len(batch)
        if len(batch) < _BATCH:
            break
    if rings_at:
        services.queue.send_at(RingAlarm(rings_at, is_set=True), rings_at)
    if count:
        checked_at = now + _CHECK_AFTER
        services.queue.send_at(RingAlarm(checked_at, is_set=True), checked_at)
    return count


def restart_lost_runs(services: UpkeepServices) -> int:
    """Start the runs again whose worker never started or died, or give them up, and return their number. Raises Unavailable."""
    with global_scope(services.background) as connection:
        lost = alarm.take_lost(connection, limit=_BATCH)
    for user_id, run_id, attempts in lost:
        if attempts < runs.MAX_ATTEMPTS:
            _start(services, user_id, run_id)
        else:
            _give_up(services, user_id, run_id)
    return len(lost)


def send_notice(services: UpkeepServices, job: ScheduleNotice) -> None:
    """Email a user that a scheduled prompt has an answer or was paused. Raises NotFound if the user was deleted."""
    with user_scope(services.engine, job.user_id) as connection:
        user = users.get(connection, job.user_id)
    services.mailer.send(services.email_templates.schedule(job.notice, job.conversation_id), to=user.email)


def _start(services: UpkeepServices, user_id: UUID, run_id: UUID) -> None:
    try:
        services.start_run({"op": "run_scheduled", "user_id": str(user_id), "run_id": str(run_id)})
    except Unavailable:
        logger.exception("scheduled_run_not_started", run_id=str(run_id))


def _give_up(services: UpkeepServices, user_id: UUID, run_id: UUID) -> None:
    with user_scope(services.engine, user_id) as connection:
        ended = runs.end(connection, run_id, user_id=user_id, status="failed", error_code="function_lost")
    logger.warning("scheduled_run_given_up", run_id=str(run_id))
    if ended and ended.is_paused:
        services.queue.send_later(ScheduleNotice(user_id, "paused", None))
