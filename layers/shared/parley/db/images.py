"""Which images messages have. The bytes are files, whose keys name the user."""

import json
from uuid import UUID

from sqlalchemy import Connection, text


def image_key(image_id: UUID, *, user_id: UUID) -> str:
    """Return where an image lies."""
    return f"images/{user_id}/{image_id}"


def schedule_deletion(connection: Connection, conversation_id: UUID, *, user_id: UUID) -> None:
    """Note in the outbox that the images of a conversation are to be erased; before it is deleted, in the same transaction."""
    connection.execute(_SCHEDULE_DELETION, {"user_id": user_id, "conversation_id": conversation_id})


def is_referenced(connection: Connection, image_id: UUID, *, user_id: UUID) -> bool:
    """Whether any message of the user still has the image: a fork's, for one."""
    part = json.dumps([{"type": "image", "id": str(image_id)}])
    return bool(connection.execute(_IS_REFERENCED, {"user_id": user_id, "part": part}).scalar_one())


# Due at once: nobody else sends them.
_SCHEDULE_DELETION = text(
    """
    INSERT INTO outbox (user_id, id, topic, subject_id, due_at)
    SELECT :user_id, gen_random_uuid(), 'erase_image', image.id, now()
      FROM (SELECT DISTINCT CAST(part ->> 'id' AS uuid) AS id
              FROM messages m CROSS JOIN LATERAL jsonb_array_elements(m.parts) AS part
             WHERE m.user_id = :user_id AND m.conversation_id = :conversation_id AND part ->> 'type' = 'image') AS image
    """
)
_IS_REFERENCED = text("SELECT EXISTS (SELECT FROM messages WHERE user_id = :user_id AND parts @> CAST(:part AS jsonb))")
