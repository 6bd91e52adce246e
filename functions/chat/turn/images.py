"""Users' images in S3: stored before their turn begins, and read by the turns that send them to a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from parley.aws.s3 import FileMissing, FileStore
from parley.db.images import image_key
from parley.errors import NotFound, Unavailable
from parley.ids import new_id
from parley.llm.messages import Image
from parley.observability import logger

MAX_IMAGES = 5
URL_LIFETIME_S = 3600
# Short, because the user waits for the answer meanwhile.
_READ_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image in the bucket."""

    id: UUID
    key: str
    media_type: str

    def part(self) -> dict[str, Any]:
        """Return the image as a message part."""
        return {"type": "image", "id": str(self.id), "key": self.key, "media_type": self.media_type}


class Images:
    """The bucket of images. Keys contain the user's id, so another user's image looks like a missing one."""

    def __init__(self, bucket: str) -> None:
        self._store = FileStore(bucket, read_timeout_s=_READ_TIMEOUT_S)

    def put(self, image: Image, *, user_id: UUID) -> StoredImage:
        """Store an image under a new id. Raises Unavailable."""
        id = new_id()
        stored_image = StoredImage(id, image_key(id, user_id=user_id), image.media_type)
        self._store.put(stored_image.key, image.data, media_type=stored_image.media_type)
        return stored_image

    def find(self, id: UUID, *, user_id: UUID) -> StoredImage:
        """Return the user's image. Raises NotFound and Unavailable."""
        key = image_key(id, user_id=user_id)
        try:
            return StoredImage(id, key, self._store.media_type(key))
        except FileMissing as exc:
            raise NotFound("image", id) from exc

    def load(self, key: str) -> bytes | None:
        """Return the bytes of an image, or log and return None if the image is missing or cannot be read now.

        The caller must make sure that the key belongs to the user.
        """
        try:
            return self._store.read(key)
        except (FileMissing, Unavailable) as exc:
            logger.warning("image_read_failed", reason=str(exc))
            return None

    def discard(self, stored_image: StoredImage) -> None:
        """Delete an image that no message contains. A failure is only logged."""
        try:
            self._store.delete(stored_image.key)
        except Unavailable:
            logger.exception("image_discard_failed", key=stored_image.key)

    def signed_url(self, stored_image: StoredImage) -> str:
        """Return a URL with which anyone can read the image for an hour."""
        return self._store.signed_url(stored_image.key, lifetime_s=URL_LIFETIME_S)


@contextmanager
def discard_unless_begun(images: Images) -> Iterator[list[StoredImage]]:
    """Yield a list for the uploaded images. On exit, delete the images in the list, which the caller clears if the turn has begun."""
    uploaded: list[StoredImage] = []
    try:
        yield uploaded
    finally:
        for stored_image in uploaded:
            images.discard(stored_image)
