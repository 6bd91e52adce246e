"""Administration: change accounts, create invites, and read usage."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from functions.auth.errors import OwnAccount
from functions.auth.login import reauthenticate
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import OneTimeCode
from parley.auth.principal import Principal
from parley.clock import utc_now
from parley.db import outbox
from parley.db.accounts import administration, audit, exports, invites, login_throttle, sessions, users
from parley.db.accounts.administration import GROUPINGS, Account, EndedAccess, Grouping
from parley.db.accounts.exports import Export
from parley.db.engine import Connection, Engine
from parley.db.transactions import global_scope, lock_until_end, principal_scope
from parley.errors import Forbidden, InvalidInput
from parley.http.idempotency import IdempotentRequest, IdempotentResult
from parley.ids import new_id
from parley.jobs import OutboxJob
from parley.observability import logger

INVITE_LIFETIME = timedelta(days=7)
MAX_INVITE_LIFETIME = timedelta(days=90)

type NewInvite = tuple[invites.Invite, str]  # the stored invite, and the code to register with


def require_admin(engine: Engine, principal: Principal) -> None:
    """Raise Forbidden unless the caller is an admin now. Their token may be older than a change of their role."""
    with principal_scope(engine, principal) as connection:
        if users.get(connection, principal.user_id).role != "admin":
            raise Forbidden(f"{principal.user_id} is no longer an admin")


def change_account(connection: Connection, admin: Principal, user_id: UUID, changes: Mapping[str, Any], *, origin: ClientOrigin) -> Account:
    """Disable or enable an account, or change its role or budget. Raises NotFound, OwnAccount and Forbidden.

    Disabling an account ends its sessions. A new role takes effect on the admin routes immediately, and elsewhere when
    the user next refreshes their token.
    """
    if user_id == admin.user_id and (changes.get("disabled") or changes.get("role") == "user"):
        raise OwnAccount(f"admin {user_id} tried to disable or demote themselves")
    # Lock, then check the role again: otherwise two admins could demote each other and leave no admin.
    lock_until_end(connection, "admins")
    if not administration.is_admin(connection, admin.user_id):
        raise Forbidden(f"{admin.user_id} is no longer an admin")
    columns = {name: value for name, value in changes.items() if name != "disabled"}
    if "disabled" in changes:
        columns["disabled_at"] = utc_now() if changes["disabled"] else None
    account = administration.change(connection, user_id, columns)
    if changes.get("disabled"):
        sessions.end_all(connection, user_id=user_id)
    if changes:
        audit.add(connection, user_id, "changed_by_admin", origin, admin_id=admin.user_id, changes=dict(changes))
        logger.info("account_changed", user_id=str(user_id), admin_id=str(admin.user_id), changes=dict(changes))
    return account


def end_sessions(connection: Connection, admin: Principal, user_id: UUID, *, revoke_api_keys: bool, origin: ClientOrigin) -> EndedAccess:
    """End the sessions of an account except the admin's own, and revoke its API keys if asked to. Raises NotFound."""
    administration.get(connection, user_id)
    (ended,) = _end_access(connection, admin, user_id, revoke_api_keys=revoke_api_keys, origin=origin) or [EndedAccess(user_id, 0, 0)]
    return ended


def end_all_sessions(
    services: AuthServices, admin: Principal, *, password: str | None, revoke_api_keys: bool, origin: ClientOrigin
) -> list[EndedAccess]:
    """End the sessions of all users except the admin's own, and revoke all API keys if asked to, in one transaction.

    Returns the users who lost any. Raises Forbidden, TooManyAttempts, WrongPassword and LoginTooOld.
    """
    # Before the password, so that only an admin can guess at it here, and again after it.
    require_admin(services.engine, admin)
    _, proof = reauthenticate(services, admin, password, origin=origin)
    with global_scope(services.background) as connection:
        if not administration.is_admin(connection, admin.user_id):
            raise Forbidden(f"{admin.user_id} is no longer an admin")
        ended = _end_access(connection, admin, None, revoke_api_keys=revoke_api_keys, origin=origin)
        sums = {
            "users": len(ended),
            "sessions": sum(user.sessions for user in ended),
            "api_keys_revoked": sum(user.api_keys for user in ended),
        }
        record_act(connection, admin, "all_sessions_ended", origin, **sums)
        login_throttle.reset(connection, proof.buckets.account_keys)
    logger.warning("all_sessions_ended", admin_id=str(admin.user_id), counts=sums)
    return ended


def _end_access(
    connection: Connection, admin: Principal, user_id: UUID | None, *, revoke_api_keys: bool, origin: ClientOrigin
) -> list[EndedAccess]:
    ended = administration.end_access(connection, user_id=user_id, but=admin.session_id, with_api_keys=revoke_api_keys)
    details = {user.user_id: {"sessions": user.sessions, "api_keys_revoked": user.api_keys} for user in ended}
    audit.add_to_each(connection, "sessions_ended_by_admin", details, origin, admin_id=admin.user_id)
    return ended


def invite_once(
    services: AuthServices,
    admin: Principal,
    request: IdempotentRequest[NewInvite],
    *,
    email: str | None,
    expires_at: datetime | None,
    origin: ClientOrigin,
) -> IdempotentResult[NewInvite]:
    """Create an invite. A repeated request creates no second invite. Raises Forbidden, IdempotencyKeyReused and InvalidInput.

    The idempotency key belongs to the admin and the invite to no user, so they are stored in two transactions. The invite is
    committed first: a crash between the two only leaves an invite whose code nobody has.
    """
    require_admin(services.engine, admin)

    def create() -> NewInvite:
        with global_scope(services.background) as connection:
            return create_invite(connection, admin, email=email, expires_at=expires_at, origin=origin)

    with principal_scope(services.engine, admin) as connection:
        return request.run_once(connection, admin.user_id, create)


def create_invite(
    connection: Connection, admin: Principal, *, email: str | None, expires_at: datetime | None, origin: ClientOrigin
) -> NewInvite:
    """Store an invite for one account, valid for seven days by default. Raises InvalidInput."""
    now = utc_now()
    expires_at = expires_at or now + INVITE_LIFETIME
    if not now < expires_at <= now + MAX_INVITE_LIFETIME:
        raise InvalidInput("must be in the future and at most 90 days ahead", loc=("body", "expires_at"))
    code = OneTimeCode.new(new_id())
    invite = invites.add(connection, code.owner_id, code.hash, email=email, created_by=admin.user_id, expires_at=expires_at)
    record_act(connection, admin, "invite_made", origin, invite_id=str(invite.id))
    return invite, str(code)


def withdraw_invite(connection: Connection, admin: Principal, invite_id: UUID, *, origin: ClientOrigin) -> None:
    """Withdraw an invite. Raises NotFound."""
    invites.remove(connection, invite_id)
    record_act(connection, admin, "invite_withdrawn", origin, invite_id=str(invite_id))


def record_act(connection: Connection, admin: Principal, action: audit.DeploymentAction, origin: ClientOrigin, **detail: Any) -> None:
    """Add an act of an admin that concerns no account to the deployment's audit."""
    audit.record(connection, action, actor="admin", actor_id=admin.user_id, account_id=None, origin=origin, detail=detail)


def request_audit_export(services: AuthServices, admin: Principal, *, origin: ClientOrigin) -> Export:
    """Queue an export of the deployment's audit, or return the admin's own that is queued or an hour old at most. Raises Forbidden."""
    require_admin(services.engine, admin)
    with global_scope(services.background) as connection:
        record_act(connection, admin, "audit_export_requested", origin)
    with principal_scope(services.engine, admin) as connection:
        lock_until_end(connection, f"exports of {admin.user_id}")
        if (recent := exports.find_recent(connection, user_id=admin.user_id, kind="audit")) is not None:
            return recent
        export = exports.add(connection, new_id(), user_id=admin.user_id, kind="audit")
        entry = outbox.add(connection, "export", user_id=admin.user_id, subject_id=export.id)
    services.queue.send_later(OutboxJob.of(entry))
    return export


def parse_groups(text: str) -> list[Grouping]:
    """Parse a comma-separated list of `user`, `model` and `day`, in any order. Raises InvalidInput."""
    names = list(dict.fromkeys(name.strip() for name in text.split(",")))
    groups = [name for name in GROUPINGS if name in names]
    if len(groups) != len(names):
        raise InvalidInput("must be one or more of user, model and day, separated by commas", loc=("query", "group_by"))
    return groups
