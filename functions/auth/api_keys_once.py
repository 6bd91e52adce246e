"""Making an API key once, however often it is asked for with the same `Idempotency-Key`, and telling its owner."""

from typing import Any

from functions.auth.api_key_schemas import MadeApiKeyOut, NewApiKey
from functions.auth.api_keys import Wish, make_key
from functions.auth.desk import Desk
from functions.auth.throttle import may_note
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db.accounts import users
from parley.db.transactions import principal_scope
from parley.http.idempotency import Idempotency
from parley.jobs import AccountNotice

ROUTE = "POST /auth/api-keys"
SECRET = frozenset({"key"})


def make_once(
    services: Desk, principal: Principal, body: NewApiKey, once: Idempotency, *, origin: ClientOrigin
) -> MadeApiKeyOut | dict[str, Any]:
    """Make the key and mail a notice, or answer as the first time, without the key itself. Raises KeyReused and what `make_key` does."""
    key_ring = services.key_ring()
    with principal_scope(services.engine, principal) as connection:
        wish = Wish(**body.model_dump())
        answer = once.once(
            connection,
            principal.user_id,
            ROUTE,
            body,
            lambda: MadeApiKeyOut.of(make_key(connection, principal, key_ring, wish, origin=origin)),
            secrets=SECRET,
        )
        email = users.get(connection, principal.user_id).email
    if isinstance(answer, MadeApiKeyOut) and may_note(services.background, email):
        services.queue.send_later(AccountNotice("new_api_key", to=email))
    return answer
