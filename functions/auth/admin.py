"""What admins may do: change accounts, invite, and read usage."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine

from functions.auth.admin_schemas import MadeInviteOut, NewInvite
from functions.auth.errors import OwnAccount
from functions.auth.services import AuthServices
from parley.auth.one_time_codes import OneTimeCode
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db.accounts import administration, audit, invites, sessions, users
from parley.db.accounts.administration import GROUPINGS, Account, Grouping
from parley.db.transactions import global_scope, principal_scope
from parley.errors import Forbidden, InvalidInput
from parley.http.idempotency import Idempotency
from parley.ids import new_id
from parley.observability import logger

INVITE_LIFETIME, MAX_INVITE_LIFETIME = timedelta(days=7), timedelta(days=90)


def change_account(connection: Connection, admin: Principal, user_id: UUID, wanted: Mapping[str, Any]) -> Account:
    """Disable or enable an account, change its role or its budget. Raises NotFound and OwnAccount.

    Who is disabled is signed out at once; a changed role holds from the user's next refresh on, and for the admin
    routes at once.
    """
    if user_id == admin.user_id and (wanted.get("disabled") or wanted.get("role") == "user"):
        raise OwnAccount(f"{user_id} would lock themselves out")
    changes = {name: value for name, value in wanted.items() if name != "disabled"}
    if "disabled" in wanted:
        changes["disabled_at"] = utc_now() if wanted["disabled"] else None
    account = administration.change(connection, user_id, changes)
    if wanted.get("disabled"):
        sessions.end_all(connection, user_id=user_id)
    if wanted:
        # Which admin it was is for the log: an erased admin's id must not live on in somebody else's rows.
        audit.add(connection, user_id, "changed_by_admin", None, changes=dict(wanted))
        logger.info("account changed by an admin", user_id=str(user_id), admin_id=str(admin.user_id), changes=dict(wanted))
    return account


def create_invite(
    connection: Connection, admin: Principal, *, email: str | None, expires_at: datetime | None
) -> tuple[invites.Invite, str]:
    """Make an invite for one account, valid for a week unless said otherwise. Raises InvalidInput."""
    now, invite_id = utc_now(), new_id()
    expires_at = expires_at or now + INVITE_LIFETIME
    if not now < expires_at <= now + MAX_INVITE_LIFETIME:
        raise InvalidInput("a time from now until 90 days from now", loc=("body", "expires_at"))
    code = OneTimeCode.new(invite_id)
    made = invites.add(connection, invite_id, code.hash, email=email, created_by=admin.user_id, expires_at=expires_at)
    return made, str(code)


def require_admin(engine: Engine, principal: Principal) -> None:
    """Raise Forbidden unless the caller is an admin at this moment; their token may be older than their role."""
    with principal_scope(engine, principal) as connection:
        if users.get(connection, principal.user_id).role != "admin":
            raise Forbidden(f"{principal.user_id} is no admin any more")


def parse_groups(text: str) -> list[Grouping]:
    """Read `user,model,day`, in any order. Raises InvalidInput."""
    named = list(dict.fromkeys(name.strip() for name in text.split(",")))
    groups = [name for name in GROUPINGS if name in named]
    if len(groups) != len(named):
        raise InvalidInput("one or more of user, model and day, separated by commas", loc=("query", "group_by"))
    return groups


def parse_offset(value: Any) -> int:
    """Read how many lines the pages before had; ValueError if it is no such number."""
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError(value)
    return value


INVITES_ROUTE = "POST /admin/invites"


INVITE_SECRET_FIELDS = frozenset({"invite"})


def create_invite_once(services: AuthServices, principal: Principal, body: NewInvite, once: Idempotency) -> MadeInviteOut | dict[str, Any]:
    """Make the invite, or answer as the first time, without what it is registered with. Raises Forbidden, KeyReused and InvalidInput.

    The key is the admin's and the invite nobody's, so these are two transactions, and the invite's ends first: a function that
    dies between them leaves an invite that nobody knows.
    """
    require_admin(services.engine, principal)

    def make() -> MadeInviteOut:
        with global_scope(services.background) as connection:
            return MadeInviteOut.of(create_invite(connection, principal, **body.model_dump()))

    with principal_scope(services.engine, principal) as connection:
        return once.run_once(connection, principal.user_id, INVITES_ROUTE, body, make, secrets=INVITE_SECRET_FIELDS)
