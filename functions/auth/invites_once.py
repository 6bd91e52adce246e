"""Making an invite once, however often it is asked for with the same `Idempotency-Key`."""

from typing import Any

from functions.auth import administration
from functions.auth.admin_schemas import MadeInviteOut, NewInvite
from functions.auth.desk import Desk
from parley.auth.principal import Principal
from parley.db.transactions import global_scope, principal_scope
from parley.http.idempotency import Idempotency

ROUTE = "POST /admin/invites"
SECRET = frozenset({"invite"})


def invite_once(services: Desk, principal: Principal, body: NewInvite, once: Idempotency) -> MadeInviteOut | dict[str, Any]:
    """Make the invite, or answer as the first time, without what it is registered with. Raises Forbidden, KeyReused and InvalidInput.

    The key is the admin's and the invite nobody's, so these are two transactions, and the invite's ends first: a function that
    dies between them leaves an invite that nobody knows.
    """
    administration.check_admin(services.engine, principal)

    def make() -> MadeInviteOut:
        with global_scope(services.background) as connection:
            return MadeInviteOut.of(administration.invite(connection, principal, **body.model_dump()))

    with principal_scope(services.engine, principal) as connection:
        return once.once(connection, principal.user_id, ROUTE, body, make, secrets=SECRET)
