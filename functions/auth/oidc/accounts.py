"""The account of an identity at an issuer: found, joined or created, with the role that the issuer's groups give it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from functions.auth.oidc.configuration import OidcIssuer
from functions.auth.oidc.errors import AccountDisabled, AccountExists, EmailUnverified, GroupMissing, LoginExpired, LogoutTokenInvalid
from functions.auth.oidc.id_tokens import LogoutToken
from functions.auth.passwords import NO_PASSWORD
from functions.auth.schemas import Email
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import administration, audit, oidc, sessions, users
from parley.db.accounts.administration import Account
from parley.db.engine import Connection
from parley.db.transactions import global_scope, hold_credentials, lock_until_end, user_scope
from parley.ids import new_id

MAX_DISPLAY_NAME = 100
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
# Some issuers send their claims as text.
_TRUE = (True, "true", "True", "1")  # and the number 1, which equals True


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as an issuer describes them. `email` is None unless the issuer has verified it."""

    subject: str
    issuer_session: str | None
    email: str | None
    name: str | None
    groups: frozenset[str]

    @classmethod
    def of(cls, claims: Mapping[str, Any], issuer: OidcIssuer) -> "Identity":
        """Read the claims of a verified ID token."""
        session, name = claims.get("sid"), claims.get("name")
        return cls(
            subject=claims["sub"],
            issuer_session=session if isinstance(session, str) and 0 < len(session) <= 255 else None,
            email=_verified_email(claims, issuer),
            name=_printable(name) if isinstance(name, str) else None,
            groups=_groups(claims, issuer.groups_claim),
        )


def account_of(services: AuthServices, issuer: OidcIssuer, identity: Identity, *, origin: ClientOrigin) -> UUID:
    """Return the id of the identity's account, after joining or creating it at the first login, with its role up to date.

    Raises GroupMissing, EmailUnverified, AccountExists, AccountDisabled, LoginExpired and the errors of the registration policy.
    """
    if issuer.allowed_groups and identity.groups.isdisjoint(issuer.allowed_groups):
        raise GroupMissing(f"in no allowed group of {issuer.id}")
    # The lock makes concurrent first logins one after another: the identity gets one account.
    with global_scope(services.background) as connection:
        lock_until_end(connection, f"identity {identity.subject} of {issuer.issuer}")
        user_id = oidc.find_owner(connection, issuer=issuer.issuer, subject=identity.subject)
        if user_id is None:
            user_id = _first_account(services, connection, issuer, identity, origin=origin)
    if issuer.admin_groups:
        _set_role(services, issuer, identity, user_id)
    return user_id


def end_sessions(services: AuthServices, issuer: OidcIssuer, token: LogoutToken) -> int:
    """End the sessions that the logout token names, and return their number. Raises LogoutTokenInvalid if the token was used before.

    A token without a session of the issuer ends all of the user's sessions, also those of MCP clients.
    """
    # The token is used up after the sessions have ended: an issuer that repeats the call after a failure must not be refused.
    with global_scope(services.background) as connection:
        if not oidc.use_logout_token(connection, _hash(issuer.issuer, token.id), expires_at=token.expires_at):
            raise LogoutTokenInvalid("used before")
        if token.subject is not None:
            user_id = oidc.find_owner(connection, issuer=issuer.issuer, subject=token.subject)
        else:
            # A login that is about to store the session's owner comes first.
            which = {"issuer": issuer.issuer, "issuer_session": token.issuer_session or ""}
            oidc.lock_issuer_session(connection, **which)
            user_id = oidc.find_session_owner(connection, **which)
        return _end_sessions(services, issuer, token, user_id) if user_id else 0


def _end_sessions(services: AuthServices, issuer: OidcIssuer, token: LogoutToken, user_id: UUID) -> int:
    with user_scope(services.engine, user_id) as connection:
        # A login or a client's consent at this moment starts a session that must end too.
        hold_credentials(connection, user_id)
        if token.issuer_session is None:
            count = sessions.end_all(connection, user_id=user_id)
        else:
            count = oidc.end_sessions(connection, user_id=user_id, issuer=issuer.issuer, issuer_session=token.issuer_session)
        audit.add(connection, user_id, "ended_by_issuer", None, issuer=issuer.id, sessions=count)
    return count


def _first_account(services: AuthServices, background: Connection, issuer: OidcIssuer, identity: Identity, *, origin: ClientOrigin) -> UUID:
    """Join the account with the same verified address, or create an account. An unverified address, here or there, joins nothing."""
    if identity.email is None:
        raise EmailUnverified(f"{issuer.id} names no verified address")
    holder = oidc.find_address(background, identity.email)
    if holder is None:
        return _create_account(services, issuer, identity, identity.email, origin=origin)
    if not holder.is_verified:
        raise AccountExists(f"the address of {holder.user_id} was never verified")
    with user_scope(services.engine, holder.user_id) as connection:
        is_same = users.lock_verified_email(connection, holder.user_id) == identity.email
        if not is_same or users.get(connection, holder.user_id).disabled_at:
            raise AccountDisabled(f"{holder.user_id} is disabled or has another address")
        _link(connection, issuer, identity, holder.user_id, origin=origin)
    return holder.user_id


def _create_account(services: AuthServices, issuer: OidcIssuer, identity: Identity, email: str, *, origin: ClientOrigin) -> UUID:
    services.registration_policy.check(email, has_invite=False)
    user_id, role = new_id(), services.registration_policy.role_of(email)
    name = identity.name
    with user_scope(services.engine, user_id) as connection:
        if not users.add(connection, user_id, email=email, display_name=name, password_hash=NO_PASSWORD, role=role, is_verified=True):
            raise AccountExists(f"the address of {user_id} was registered concurrently")
        audit.add(connection, user_id, "registered", origin)
        _link(connection, issuer, identity, user_id, origin=origin)
    return user_id


def _link(connection: Connection, issuer: OidcIssuer, identity: Identity, user_id: UUID, *, origin: ClientOrigin) -> None:
    oidc.add_identity(connection, user_id=user_id, issuer=issuer.issuer, subject=identity.subject)
    audit.add(connection, user_id, "identity_linked", origin, issuer=issuer.id)


def _set_role(services: AuthServices, issuer: OidcIssuer, identity: Identity, user_id: UUID) -> None:
    """Make the user an admin or not, as the issuer's groups say. The configured address and the last admin stay admins.

    SCIM changes an address under the same lock, never an admin's, and ends the identities with it: an account whose address SCIM has
    changed since the identity joined is not promoted. Raises LoginExpired if the identity has ended.
    """
    with global_scope(services.background) as connection:
        # Most logins change no role and do not wait for the lock, which the whole deployment shares.
        account = administration.change(connection, user_id, {})
        if account.role == _due_role(services, issuer, identity, account):
            return
        lock_until_end(connection, "admins")
        if oidc.find_owner(connection, issuer=issuer.issuer, subject=identity.subject) != user_id:
            raise LoginExpired(f"the identity of {user_id} has ended")
        account = administration.change(connection, user_id, {})
        role = _due_role(services, issuer, identity, account)
        if account.role == role or (role == "user" and not administration.has_other_admin(connection, user_id)):
            return
        administration.change(connection, user_id, {"role": role})
        audit.add(connection, user_id, "role_changed_by_issuer", None, issuer=issuer.id, role=role)


def _due_role(services: AuthServices, issuer: OidcIssuer, identity: Identity, account: Account) -> str:
    """Return the role that the issuer's groups, or the configured address, give the account."""
    is_admin = not identity.groups.isdisjoint(issuer.admin_groups) or services.registration_policy.role_of(account.email) == "admin"
    return "admin" if is_admin else "user"


def _hash(issuer: str, token_id: str) -> bytes:
    return hashlib.sha256(f"{issuer} {token_id}".encode()).digest()


def _verified_email(claims: Mapping[str, Any], issuer: OidcIssuer) -> str | None:
    verified = claims.get(issuer.email_verified_claim)
    if not isinstance(verified, bool | str | int) or verified not in _TRUE:
        return None
    try:
        return _EMAIL.validate_python(claims.get("email"))
    except ValidationError:
        return None


def _groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return the groups in a claim. A name with dots also leads into objects, as in Keycloak's `realm_access.roles`."""
    found: Any = claims.get(name)
    if found is None and "." in name:
        found = claims
        for step in name.split("."):
            found = found.get(step) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    return frozenset(value for value in values if isinstance(value, str))


def _printable(name: str) -> str | None:
    return "".join(letter for letter in name if letter.isprintable()).strip()[:MAX_DISPLAY_NAME] or None
