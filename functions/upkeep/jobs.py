"""Dispatches queued jobs to the functions that run them."""

from uuid import UUID

from functions.upkeep import emails, schedules, stale_turns, user_data, webhooks
from functions.upkeep.services import UpkeepServices
from parley.clock import utc_now
from parley.jobs import (
    AccountNotice,
    ChangeEmail,
    CheckTurn,
    DeliverEvent,
    GroupInvitation,
    Job,
    OutboxJob,
    ResetPassword,
    RingAlarm,
    ScheduleNotice,
    SignUp,
    UnknownJob,
    parse_job,
)


def is_early(body: str) -> bool:
    """Return whether a message only waits for a later time. Its batch need not wake a paused database."""
    try:
        job = parse_job(body)
    except UnknownJob:
        return False
    if isinstance(job, RingAlarm) and not job.is_set:
        return False
    return isinstance(job, DeliverEvent | RingAlarm) and job.due_at is not None and job.due_at > utc_now()


def run_job(services: UpkeepServices, job: Job) -> None:
    """Run a job. Raises UnknownJob for an outbox topic that this function does not handle, and the job's own errors."""
    match job:
        case SignUp():
            emails.send_sign_up_code(services, job)
        case ResetPassword():
            emails.send_reset_code(services, job)
        case ChangeEmail():
            emails.send_change_code(services, job)
        case AccountNotice():
            emails.send_notification(services, job)
        case GroupInvitation():
            emails.send_invitation(services, job)
        case CheckTurn():
            stale_turns.check_turn(services, job)
        case DeliverEvent():
            webhooks.deliver_event(services, job)
        case RingAlarm():
            schedules.ring_alarm(services, job)
        case ScheduleNotice():
            schedules.send_notice(services, job)
        case OutboxJob(topic="export", subject_id=UUID() as export_id):
            user_data.make_export(services, export_id, user_id=job.user_id, entry_id=job.entry_id)
        case OutboxJob(topic="erase"):
            user_data.erase_user(services, job.user_id)
        case OutboxJob(topic="erase_document", subject_id=UUID() as document_id):
            user_data.erase_document(services, document_id, user_id=job.user_id, entry_id=job.entry_id)
        case OutboxJob(topic="erase_image", subject_id=UUID() as image_id):
            user_data.erase_image(services, image_id, user_id=job.user_id, entry_id=job.entry_id)
        case OutboxJob():
            raise UnknownJob(f"unknown topic {job.topic!r}, subject {job.subject_id}")
