"""`Idempotency-Key`: a request repeated with the same key runs once and gets the same response.

For routes whose work is one transaction. Key, work and response are committed together, so a crash cannot separate
them. A repeat that arrives while the first request is still running waits for it to commit.

The route binds the key to its body and to the model that renders the response; the service gets the bound
`IdempotentRequest` and knows neither.
"""

import hashlib
from collections.abc import Callable, Set
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header
from pydantic import BaseModel

from parley.db import idempotency
from parley.db.engine import Connection
from parley.errors import IdempotencyKeyReused


@dataclass(frozen=True, slots=True)
class IdempotentResult[T]:
    """A rendered response, and the domain value it was rendered from; `value` is None if the request is a repeat."""

    response: BaseModel | dict[str, Any]
    value: T | None


@dataclass(frozen=True, slots=True)
class IdempotentRequest[T]:
    """A request that runs at most once per key, route and user."""

    key: str | None
    route: str
    fingerprint: bytes
    render: Callable[[T], BaseModel]
    secrets: Set[str]

    def run_once(self, connection: Connection, user_id: UUID, work: Callable[[], T]) -> IdempotentResult[T]:
        """Run `work` and store the rendered response under the key; for a repeated request, return the stored response.

        Raises IdempotencyKeyReused if the key was first used with a different body.
        """
        if self.key is None:
            value = work()
            return IdempotentResult(self.render(value), value)
        existing = idempotency.claim(connection, self.key, user_id=user_id, route=self.route, fingerprint=self.fingerprint)
        if existing is None:
            value = work()
            response = self.render(value)
            stored = response.model_dump(mode="json", exclude=set(self.secrets))
            idempotency.store_response(connection, self.key, user_id=user_id, route=self.route, response=stored)
            return IdempotentResult(response, value)
        if existing.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        return IdempotentResult(existing.response or {}, None)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The request's `Idempotency-Key`. Without a key, every request runs."""

    key: str | None

    def request[T](
        self, route: str, body: BaseModel, *, render: Callable[[T], BaseModel], secrets: Set[str] = frozenset()
    ) -> IdempotentRequest[T]:
        """Bind the key to a route and a body.

        `render` turns the result of the work into the response. Fields named in `secrets` are stored neither as part of the
        response, so that a repeated request's response lacks them, nor in the fingerprint, from which a password could be guessed.
        """
        return IdempotentRequest(self.key, route, request_fingerprint(body, without=secrets), render, secrets)


def request_fingerprint(body: BaseModel, *, without: Set[str] = frozenset()) -> bytes:
    """Return the SHA-256 of the request body without the fields `without`; a repeat of a key must have the same fingerprint."""
    return hashlib.sha256(body.model_dump_json(exclude=set(without)).encode()).digest()


async def _idempotency(
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] = None,
) -> Idempotency:
    return Idempotency(idempotency_key)


IdempotencyHeader = Annotated[Idempotency, Depends(_idempotency)]
