"""`Idempotency-Key`: a request repeated with the same key runs once and gets the same response.

If the work is one transaction, `run_once` commits key, work and response together, so a crash cannot separate them. A
repeat that arrives while the first request is still running waits for it to commit. For other work, `run_exclusively`
commits the key first and the response last; a repeat that arrives in between is refused.

The route binds the key to the request body and to the model that renders the response, and passes the bound
`IdempotentRequest` to the service, which depends on neither.
"""

import hashlib
import json
from collections.abc import Callable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header
from pydantic import BaseModel

from parley.auth.principal import Principal
from parley.db import idempotency
from parley.db.engine import Connection, Engine
from parley.db.transactions import principal_scope, user_scope
from parley.deadline import GRACE_S, Deadline, retry_while_unavailable
from parley.errors import IdempotencyKeyReused, RequestInProgress, Unavailable
from parley.observability import logger


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

    def run_exclusively(self, engine: Engine, principal: Principal, work: Callable[[], T], deadline: Deadline) -> IdempotentResult[T]:
        """Run `work` without a transaction and store the rendered response; for a repeated request, return the stored response.

        If `work` fails, nothing is stored and a repeat runs it again. Raises IdempotencyKeyReused and RequestInProgress.
        """
        if (stored := self.claim(engine, principal, deadline)) is not None:
            return IdempotentResult(stored, None)
        try:
            value = work()
            response = self.render(value)
        except BaseException:
            self.release(engine, principal)
            raise
        self.store(engine, principal, response, deadline)
        return IdempotentResult(response, value)

    def claim(self, engine: Engine, principal: Principal, deadline: Deadline) -> dict[str, Any] | None:
        """Return the stored response of a repeated request, or None if this request must run. After None, call `store` or `release`.

        Raises IdempotencyKeyReused and RequestInProgress.
        """
        if self.key is None:
            return None
        with principal_scope(engine, principal) as connection:
            running_s = deadline.left_s + GRACE_S
            existing = idempotency.claim(
                connection, self.key, user_id=principal.user_id, route=self.route, fingerprint=self.fingerprint, running_s=running_s
            )
        if existing is None:
            return None
        if existing.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        if existing.response is None:
            raise RequestInProgress(self.route)
        return existing.response

    def release(self, engine: Engine, principal: Principal) -> None:
        """Release the key, so that a repeat runs. If the database is unavailable, the key is freed when the invocation must have ended."""
        if self.key is not None:
            with suppress(Unavailable), user_scope(engine, principal.user_id) as connection:
                idempotency.release(connection, self.key, user_id=principal.user_id, route=self.route)

    def store(self, engine: Engine, principal: Principal, response: BaseModel, deadline: Deadline) -> None:
        """Store the response for repeats. An unavailable database is only logged: the work is done, and the client gets the response."""
        if self.key is None:
            return
        store = partial(self._store, engine, principal.user_id, self.key, response.model_dump(mode="json", exclude=set(self.secrets)))
        try:
            retry_while_unavailable(store, deadline)
        except Unavailable:
            logger.exception("idempotent_response_not_stored", route=self.route)

    def _store(self, engine: Engine, user_id: UUID, key: str, response: dict[str, Any]) -> None:
        with user_scope(engine, user_id) as connection:
            idempotency.store_response(connection, key, user_id=user_id, route=self.route, response=response)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The request's `Idempotency-Key`. Without a key, every request runs."""

    key: str | None

    def request[T](
        self,
        route: str,
        body: BaseModel | None,
        *,
        render: Callable[[T], BaseModel],
        secrets: Set[str] = frozenset(),
        parameters: Sequence[str | None] = (),
    ) -> IdempotentRequest[T]:
        """Bind the key to a route, a body, and `parameters` of the request that are not in the body. A form has no body model.

        `render` turns the result of the work into the response. Fields named in `secrets` are left out of the stored response, so
        that a repeat does not receive them, and out of the fingerprint, because a password could be guessed from it.
        """
        return IdempotentRequest(self.key, route, request_fingerprint(body, *parameters, without=secrets), render, secrets)


def request_fingerprint(body: BaseModel | None, *parameters: str | None, without: Set[str] = frozenset()) -> bytes:
    """Return the SHA-256 of the request body, without the fields `without`, and of `parameters`.

    A repeat with the same key must have the same fingerprint.
    """
    digest = hashlib.sha256(body.model_dump_json(exclude=set(without)).encode() if body else b"")
    if parameters:
        digest.update(json.dumps(parameters).encode())  # ASCII: a hostile name may not be encodable as UTF-8
    return digest.digest()


async def _idempotency(
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255, pattern=r"^[^\x00]*$")] = None,
) -> Idempotency:
    return Idempotency(idempotency_key)


IdempotencyHeader = Annotated[Idempotency, Depends(_idempotency)]
