"""Which message means which work."""

from uuid import UUID

from functions.upkeep import export, mailing, watchdog
from functions.upkeep.desk import Desk
from functions.upkeep.erasure import erase, erase_document
from functions.upkeep.images import erase_image
from parley.jobs import AccountNotice, ChangeEmail, CheckTurn, Job, OutboxJob, ResetPassword, SignUp, UnknownJob


def run(services: Desk, message: Job) -> None:
    """Do what a message asks for. Raises UnknownMessage for work by a topic that is none of ours."""
    match message:
        case SignUp():
            mailing.answer_sign_up(services, message)
        case ResetPassword():
            mailing.send_reset_code(services, message)
        case ChangeEmail():
            mailing.send_change_code(services, message)
        case AccountNotice():
            mailing.send_note(services, message)
        case CheckTurn():
            watchdog.watch(services, message)
        case OutboxJob(topic="export", subject_id=UUID() as export_id):
            export.make(services, export_id, user_id=message.user_id, entry_id=message.entry_id)
        case OutboxJob(topic="erase_image", subject_id=UUID() as image_id):
            erase_image(services, image_id, user_id=message.user_id, entry_id=message.entry_id)
        case OutboxJob(topic="erase"):
            erase(services, message.user_id)
        case OutboxJob(topic="erase_document", subject_id=UUID() as document_id):
            erase_document(services, document_id, user_id=message.user_id, entry_id=message.entry_id)
        case OutboxJob():
            raise UnknownJob(f"no work by the topic {message.topic!r} on {message.subject_id}")
