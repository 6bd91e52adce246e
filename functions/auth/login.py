"""Password checks: at login, and again before sensitive actions."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from functions.auth.errors import InvalidCredentials, LoginTooOld, PasskeyNeeded, TooManyAttempts, WrongPassword
from functions.auth.services import AuthServices
from functions.auth.sessions import IssuedTokens, start_session
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db.accounts import audit, login_throttle, oidc, passkeys, sessions, users
from parley.db.engine import Connection
from parley.db.transactions import global_scope, principal_scope, user_scope
from parley.errors import Unavailable

# How long a login at an issuer counts as a password does.
RECENT_LOGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class PasswordProof:
    """A user who gave the right password, the hash that the password matched, and the throttle buckets that counted the attempt."""

    user_id: UUID
    password_hash: str
    has_second_factor: bool
    buckets: sessions.LoginBuckets


def log_in(services: AuthServices, *, email: str, password: str, origin: ClientOrigin) -> IssuedTokens | PasswordProof:
    """Check a password and start a session, or return the proof if the account has a second factor.

    Raises TooManyAttempts, and InvalidCredentials, also if the password or the second factor has changed since it was checked.
    """
    proof = authenticate(services, email=email, password=password, origin=origin)
    if proof.has_second_factor:
        # Before the second step, whose challenge is bound to the hash.
        return _rehash_password(services, proof, password)
    key_ring = services.key_ring()
    with user_scope(services.engine, proof.user_id) as connection:
        # A statement of its own: the start then sees a second factor that was confirmed while this one waited.
        users.lock_credentials(connection, proof.user_id)
        tokens = start_session(
            connection,
            proof.user_id,
            proof.password_hash,
            key_ring=key_ring,
            lifetimes=services.lifetimes,
            origin=origin,
            reset_buckets=proof.buckets,
        )
    # The session has begun: an error would only cost its tokens.
    with suppress(Unavailable):
        _rehash_password(services, proof, password)
    return tokens


def reauthenticate(
    services: AuthServices, principal: Principal, password: str | None, *, origin: ClientOrigin
) -> tuple[users.User, PasswordProof]:
    """Check the logged-in user's password again, or without one that an issuer has just logged the user in.

    Raises TooManyAttempts, WrongPassword and LoginTooOld.
    """
    with principal_scope(services.engine, principal) as connection:
        user = users.get(connection, principal.user_id)
        if password is None:
            return user, _proof_of_recent_login(services, connection, principal, user, origin=origin)
    try:
        proof = authenticate(services, email=user.email, password=password, origin=origin)
    except InvalidCredentials as exc:
        raise WrongPassword(str(exc)) from exc
    if proof.user_id != user.id:
        raise WrongPassword(f"the address of {user.id} now belongs to {proof.user_id}")
    return user, proof


def require_passkey(services: AuthServices, connection: Connection, principal: Principal) -> None:
    """Raise PasskeyNeeded if the user needs a second factor and has a passkey, and the session began by the password alone.

    Otherwise the password alone would add a second factor of its own beside the passkey. A deployment without passkeys asks for none:
    nobody can sign in with one.
    """
    role = passkeys.role_beside(connection, principal.session_id, user_id=principal.user_id)
    if services.relying_party is not None and role is not None and services.lifetimes.needs_factor(role):
        raise PasskeyNeeded(f"a session of {principal.user_id} began without the account's passkey")


def _proof_of_recent_login(
    services: AuthServices, connection: Connection, principal: Principal, user: users.User, *, origin: ClientOrigin
) -> PasswordProof:
    session_id = principal.session_id
    if session_id is None or not oidc.has_recent_login(connection, session_id, user_id=user.id, within=RECENT_LOGIN):
        raise LoginTooOld(f"no issuer has just logged {user.id} in")
    buckets = services.throttle.password_buckets(user.email, origin)
    return PasswordProof(user.id, users.password_hash_of(connection, user.id), has_second_factor=False, buckets=buckets)


def authenticate(services: AuthServices, *, email: str, password: str, origin: ClientOrigin) -> PasswordProof:
    """Check a password. Raises TooManyAttempts and InvalidCredentials.

    The attempt is counted before the password is hashed, and no transaction is open during the hashing. After a right password, the
    attempt no longer counts against the network, so that many users can share a network. The number of such refunds per account is
    limited, so someone who logs in again and again still reaches the network's limit.
    """
    buckets = services.throttle.password_buckets(email, origin)
    attempt = sessions.count_attempt(services.background, email, origin.network, buckets)
    if attempt.wait_s is not None:
        raise TooManyAttempts(attempt.wait_s)
    is_right = services.passwords.is_right(password, attempt.password_hash)
    if not is_right or attempt.user_id is None or attempt.password_hash is None:
        record_failure(services, attempt.user_id, origin)
        raise InvalidCredentials(f"wrong password of {attempt.user_id}" if attempt.user_id else "unknown address")
    login_throttle.give_back(services.background, buckets.network, refunds=buckets.refunds)
    return PasswordProof(attempt.user_id, attempt.password_hash, attempt.has_second_factor, buckets)


def record_failure(services: AuthServices, account_id: UUID | None, origin: ClientOrigin) -> None:
    """Add a login with a wrong password or code to the deployment's audit. The throttle limits their number."""
    with global_scope(services.background) as connection:
        audit.record(connection, "login_failed", actor="stranger", actor_id=None, account_id=account_id, origin=origin)


def _rehash_password(services: AuthServices, proof: PasswordProof, password: str) -> PasswordProof:
    """Hash the password with the current Argon2 parameters if its hash has others, and return the proof with the stored hash.

    Nothing is stored if the stored hash has changed since the check.
    """
    if not services.passwords.needs_rehash(proof.password_hash):
        return proof
    new_hash = services.passwords.hash(password)
    with user_scope(services.engine, proof.user_id) as connection:
        is_stored = users.replace_password_hash(connection, proof.user_id, proof.password_hash, new_hash)
    return replace(proof, password_hash=new_hash) if is_stored else proof
