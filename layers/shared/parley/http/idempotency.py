"""`Idempotency-Key`: a request repeated with the same key runs once and gets the same response.

For routes whose work is one transaction. Key, work and response are committed together, so a crash cannot separate
them. A repeat that arrives while the first request is still running waits for it to commit.
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
from parley.errors import IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The request's `Idempotency-Key`. Without a key, every request runs."""

    key: str | None

    def run_once[T: BaseModel](
        self,
        connection: Connection,
        user_id: UUID,
        route: str,
        body: BaseModel,
        work: Callable[[], T],
        *,
        secrets: frozenset[str] = frozenset(),
    ) -> T | dict[str, Any]:
        """Run `work` and store its response under the key; for a repeated request, return the stored response.

        Fields named in `secrets` are not stored, so a repeated request's response lacks them.
        Raises IdempotencyKeyReused if the key was first used with a different body.
        """
        if self.key is None:
            return work()
        fingerprint = request_fingerprint(body)
        existing = idempotency.claim(connection, self.key, user_id=user_id, route=route, fingerprint=fingerprint)
        if existing is None:
            response = work()
            stored = response.model_dump(mode="json", exclude=set(secrets))
            idempotency.store_response(connection, self.key, user_id=user_id, route=route, response=stored)
            return response
        if existing.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        return existing.response or {}


def request_fingerprint(body: BaseModel) -> bytes:
    """Return the SHA-256 of the request body; a repeat of a key must have the same fingerprint."""
    return hashlib.sha256(body.model_dump_json().encode()).digest()


async def _idempotency(
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] = None,
) -> Idempotency:
    return Idempotency(idempotency_key)


IdempotencyHeader = Annotated[Idempotency, Depends(_idempotency)]
