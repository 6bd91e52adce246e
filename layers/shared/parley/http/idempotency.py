"""`Idempotency-Key`: a request that is repeated with its key is done once and answered alike.

For routes whose work is one transaction: key, work and answer are committed together, so that there is no moment
between them to crash in. Who repeats while the first is still at work waits for it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header
from pydantic import BaseModel
from sqlalchemy import Connection

from parley.db import idempotency
from parley.errors import InvalidInput


class IdempotencyKeyReused(InvalidInput):
    """The key came before, with another request."""

    code = "idempotency_key_reused"
    public_message = "This Idempotency-Key has been used for another request. Take a new key for each new request."

    def __init__(self) -> None:
        super().__init__("used for another request", loc=("header", "Idempotency-Key"))


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What the client asks to be done once; without a key, everything is done."""

    key: str | None

    def once[T: BaseModel](
        self,
        connection: Connection,
        user_id: UUID,
        route: str,
        body: BaseModel,
        work: Callable[[], T],
        *,
        secrets: frozenset[str] = frozenset(),
    ) -> T | dict[str, Any]:
        """Return what `work` answers, or what it did the first time, then without the fields named `secrets`.

        Raises KeyReused if the first time was with another body.
        """
        if self.key is None:
            return work()
        fingerprint = request_fingerprint(body)
        existing = idempotency.claim(connection, self.key, user_id=user_id, route=route, fingerprint=fingerprint)
        if existing is None:
            answer = work()
            stored = answer.model_dump(mode="json", exclude=set(secrets))
            idempotency.store_response(connection, self.key, user_id=user_id, route=route, answer=stored)
            return answer
        if existing.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        return existing.answer or {}


def request_fingerprint(body: BaseModel) -> bytes:
    """Return what tells one request from another by the same key."""
    return hashlib.sha256(body.model_dump_json().encode()).digest()


async def _idempotency(
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] = None,
) -> Idempotency:
    return Idempotency(idempotency_key)


IdempotencyHeader = Annotated[Idempotency, Depends(_idempotency)]
