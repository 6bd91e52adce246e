"""References from messages to images. The bytes are in the file store, under keys that contain the user's id."""

import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ARRAY, Connection, Uuid, bindparam, text


def image_key(image_id: UUID, *, user_id: UUID) -> str:
    """Return the image's key in the file store."""
    return f"images/{user_id}/{image_id}"


def schedule_deletion(connection: Connection, conversation_ids: Sequence[UUID], *, user_id: UUID) -> None:
    """Add outbox entries that erase the conversations' images.

    Call it before the conversations are deleted, in the same transaction.
    """
    connection.execute(_SCHEDULE_DELETION, {"user_id": user_id, "conversation_ids": list(conversation_ids)})


def is_referenced(connection: Connection, image_id: UUID, *, user_id: UUID) -> bool:
    """Whether a message of the user still refers to the image, for example in a fork of the conversation."""
    part = json.dumps([{"type": "image", "id": str(image_id)}])
    return bool(connection.execute(_IS_REFERENCED, {"user_id": user_id, "part": part}).scalar_one())


# Due now, because the outbox's sweep sends these entries; the caller does not.
_SCHEDULE_DELETION = text(
    """
    INSERT INTO outbox (user_id, id, topic, subject_id, due_at)
    SELECT :user_id, gen_random_uuid(), 'erase_image', image.id, now()
      FROM (SELECT DISTINCT CAST(part ->> 'id' AS uuid) AS id
              FROM messages m CROSS JOIN LATERAL jsonb_array_elements(m.parts) AS part
             WHERE m.user_id = :user_id AND m.conversation_id = ANY(:conversation_ids) AND part ->> 'type' = 'image') AS image
    """
).bindparams(bindparam("conversation_ids", type_=ARRAY(Uuid)))
_IS_REFERENCED = text("SELECT EXISTS (SELECT FROM messages WHERE user_id = :user_id AND parts @> CAST(:part AS jsonb))")
