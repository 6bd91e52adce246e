"""Images of messages, beside another user's conversation with the same id."""

from sqlalchemy import text

from parley.db import images, messages
from parley.ids import new_id


def show(talk):
    """Add a message with an image, and return the image's id."""
    parts = [{"type": "image", "id": str(image_id := new_id()), "media_type": "image/png"}]
    messages.add(talk.connection, new_id(), **talk.user, conversation_id=talk.id, role="user", parts=parts)
    return image_id


def test_the_images_of_a_users_own_conversation_are_erased_with_it(mine, theirs):
    own, _ = show(mine), show(theirs)
    images.schedule_deletion(mine.connection, [mine.id], **mine.user)

    erased = text("SELECT subject_id FROM outbox WHERE user_id = :user_id AND topic = 'erase_image'")
    assert list(mine.connection.scalars(erased, mine.user)) == [own]
