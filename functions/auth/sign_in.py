"""Passwords proved: at login, and once more before what a thief of a session must not do."""

from dataclasses import dataclass
from uuid import UUID

from functions.auth.desk import Desk
from functions.auth.errors import InvalidCredentials, TooManyGuesses, WrongPassword
from functions.auth.sessions import SignedIn, start_session
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db.accounts import sessions, users
from parley.db.transactions import global_scope, principal_scope, user_scope


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody who knows a password, what it was compared with, and where the guess was counted."""

    user_id: UUID
    password_hash: str
    buckets: sessions.LoginBuckets


def prove(services: Desk, *, email: str, password: str, origin: ClientOrigin) -> Proof:
    """Check a password. Raises TooManyGuesses and InvalidCredentials.

    The guess is counted before the password is hashed, and no transaction is open while it is.
    """
    buckets = services.throttle.of_password(email, origin)
    with global_scope(services.background) as connection:
        attempt = sessions.count_attempt(connection, email, origin.network, buckets)
    if attempt.wait_s is not None:
        raise TooManyGuesses(attempt.wait_s)
    is_right = services.passwords.is_right(password, attempt.password_hash)
    if not is_right or attempt.user_id is None or attempt.password_hash is None:
        raise InvalidCredentials(f"wrong password of {attempt.user_id}" if attempt.user_id else "unknown address")
    return Proof(attempt.user_id, attempt.password_hash, buckets)


def log_in(services: Desk, *, email: str, password: str, origin: ClientOrigin) -> SignedIn:
    """Start a session. Raises TooManyGuesses and InvalidCredentials."""
    proof = prove(services, email=email, password=password, origin=origin)
    key_ring = services.key_ring()
    with user_scope(services.engine, proof.user_id) as connection:
        signed_in = start_session(
            connection,
            proof.user_id,
            proof.password_hash,
            key_ring=key_ring,
            lifetimes=services.lifetimes,
            origin=origin,
            emptied=proof.buckets,
        )
    if services.passwords.needs_rehash(proof.password_hash):
        _renew_hash(services, proof, password)
    return signed_in


def _renew_hash(services: Desk, proof: Proof, password: str) -> None:
    """Keep the same password by today's parameters. If it was changed or renewed meanwhile, that stands."""
    renewed = services.passwords.hash(password)
    with user_scope(services.engine, proof.user_id) as connection:
        users.replace_password_hash(connection, proof.user_id, proof.password_hash, renewed)


def prove_again(services: Desk, principal: Principal, password: str, *, origin: ClientOrigin) -> tuple[users.User, Proof]:
    """Check the password of who is signed in. Raises TooManyGuesses and WrongPassword."""
    with principal_scope(services.engine, principal) as connection:
        user = users.get(connection, principal.user_id)
    try:
        proof = prove(services, email=user.email, password=password, origin=origin)
    except InvalidCredentials as exc:
        raise WrongPassword(str(exc)) from exc
    if proof.user_id != user.id:
        raise WrongPassword(f"the address of {user.id} is {proof.user_id}'s by now")
    return user, proof
