"""Images whose conversation was deleted."""

from uuid import UUID

from functions.upkeep.desk import Desk
from parley.db import images, outbox
from parley.db.transactions import user_scope


def erase_image(services: Desk, image_id: UUID, *, user_id: UUID, entry_id: UUID) -> None:
    """Delete the file of an image that no message of the user has any more; safe to repeat. Raises Unavailable."""
    with user_scope(services.engine, user_id) as connection:
        is_shown = images.is_referenced(connection, image_id, user_id=user_id)
    if not is_shown:
        services.files.delete(images.image_key(image_id, user_id=user_id))
    with user_scope(services.engine, user_id) as connection:
        outbox.delete_done(connection, entry_id, user_id=user_id)
