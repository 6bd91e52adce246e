"""Dispatches queue messages to the functions that handle them."""

from uuid import UUID

from functions.upkeep import emails, stale_turns, user_data
from functions.upkeep.services import UpkeepServices
from functions.upkeep.user_data import erase_document, erase_image, erase_user
from parley.jobs import AccountNotice, ChangeEmail, CheckTurn, Job, OutboxJob, ResetPassword, SignUp, UnknownJob


def run_job(services: UpkeepServices, message: Job) -> None:
    """Do what a message asks for. Raises UnknownMessage for work by a topic that is none of ours."""
    match message:
        case SignUp():
            emails.send_sign_up_code(services, message)
        case ResetPassword():
            emails.send_reset_code(services, message)
        case ChangeEmail():
            emails.send_change_code(services, message)
        case AccountNotice():
            emails.send_notification(services, message)
        case CheckTurn():
            stale_turns.check_turn(services, message)
        case OutboxJob(topic="export", subject_id=UUID() as export_id):
            user_data.make_export(services, export_id, user_id=message.user_id, entry_id=message.entry_id)
        case OutboxJob(topic="erase_image", subject_id=UUID() as image_id):
            erase_image(services, image_id, user_id=message.user_id, entry_id=message.entry_id)
        case OutboxJob(topic="erase"):
            erase_user(services, message.user_id)
        case OutboxJob(topic="erase_document", subject_id=UUID() as document_id):
            erase_document(services, document_id, user_id=message.user_id, entry_id=message.entry_id)
        case OutboxJob():
            raise UnknownJob(f"no work by the topic {message.topic!r} on {message.subject_id}")
