"""Which message means which work."""

from uuid import UUID

from functions.upkeep import export, mailing, watchdog
from functions.upkeep.desk import Desk
from functions.upkeep.erasure import erase, erase_document
from functions.upkeep.images import erase_image
from parley.upkeep import ChangeEmail, Message, Note, ResetPassword, SignUp, UnknownMessage, Watch, Work


def run(desk: Desk, message: Message) -> None:
    """Do what a message asks for. Raises UnknownMessage for work by a topic that is none of ours."""
    match message:
        case SignUp():
            mailing.answer_sign_up(desk, message)
        case ResetPassword():
            mailing.send_reset_code(desk, message)
        case ChangeEmail():
            mailing.send_change_code(desk, message)
        case Note():
            mailing.send_note(desk, message)
        case Watch():
            watchdog.watch(desk, message)
        case Work(topic="export", subject_id=UUID() as export_id):
            export.make(desk, export_id, user_id=message.user_id, entry_id=message.entry_id)
        case Work(topic="erase_image", subject_id=UUID() as image_id):
            erase_image(desk, image_id, user_id=message.user_id, entry_id=message.entry_id)
        case Work(topic="erase"):
            erase(desk, message.user_id)
        case Work(topic="erase_document", subject_id=UUID() as document_id):
            erase_document(desk, document_id, user_id=message.user_id, entry_id=message.entry_id)
        case Work():
            raise UnknownMessage(f"no work by the topic {message.topic!r} on {message.subject_id}")
