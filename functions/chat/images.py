"""Users' images in S3: stored before the turn that has them, read by the turns that show them to a model."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from parley.db.images import key_of
from parley.errors import NotFound, Unavailable
from parley.ids import new_id
from parley.llm.parts import Image
from parley.observability import logger

URL_LIFETIME_S = 3600
# Without the right to list a bucket, S3 says of a key that is not there that it may not be read.
_ABSENT = {"404", "403", "NoSuchKey", "NotFound", "AccessDenied", "Forbidden"}


@dataclass(frozen=True, slots=True)
class Kept:
    """An image in the bucket."""

    id: UUID
    key: str
    media_type: str

    def part(self) -> dict[str, Any]:
        """Return it as a part of a message."""
        return {"type": "image", "id": str(self.id), "key": self.key, "media_type": self.media_type}


class Images:
    """The bucket. A user's images lie under the user's id, so somebody else's are not there."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, image: Image, *, user_id: UUID) -> Kept:
        """Store an image under a new id. Raises Unavailable."""
        id = new_id()
        kept = Kept(id, key_of(id, user_id=user_id), image.media_type)
        with _answering():
            _s3().put_object(Bucket=self._bucket, Key=kept.key, Body=image.data, ContentType=kept.media_type)
        return kept

    def find(self, id: UUID, *, user_id: UUID) -> Kept:
        """Return the user's image. Raises NotFound and Unavailable."""
        key = key_of(id, user_id=user_id)
        with _answering(id):
            found = _s3().head_object(Bucket=self._bucket, Key=key)
        return Kept(id, key, found["ContentType"])

    def load(self, key: str) -> bytes | None:
        """Return the bytes of an image of the user's own; None if it has gone or cannot be read now, which is logged."""
        try:
            with _answering(key):
                content: bytes = _s3().get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except (NotFound, Unavailable) as exc:
            logger.warning("an image cannot be read", reason=str(exc))
            return None
        return content

    def discard(self, kept: Kept) -> None:
        """Delete an image that no message has, or log that it could not be."""
        try:
            with _answering():
                _s3().delete_object(Bucket=self._bucket, Key=kept.key)
        except Unavailable:
            logger.exception("an image is left over", key=kept.key)

    def signed_url(self, kept: Kept) -> str:
        """Return an address by which anybody can read the image for an hour."""
        parameters = {"Bucket": self._bucket, "Key": kept.key}
        url: str = _s3().generate_presigned_url("get_object", Params=parameters, ExpiresIn=URL_LIFETIME_S)
        return url


@contextmanager
def _answering(sought: object = None) -> Iterator[None]:
    """Turn S3's errors into ours: of what is `sought`, also that it is not there."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        if sought is not None and exc.response.get("Error", {}).get("Code") in _ABSENT:
            raise NotFound("image", sought) from exc
        raise Unavailable("file store") from exc
    except BotoCoreError as exc:
        raise Unavailable("file store") from exc


@cache
def _s3() -> Any:
    import boto3  # only who has images pays for it
    from botocore.config import Config

    # "virtual", or a signed address names S3 without a region: new buckets answer that with a redirect, which breaks the signature.
    addressing: Any = {"addressing_style": "virtual"}
    config = Config(signature_version="s3v4", s3=addressing, connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3})
    return boto3.client("s3", config=config)
