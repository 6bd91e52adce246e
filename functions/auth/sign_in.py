"""Passwords proved: at login, and once more before what a thief of a session must not do."""

from dataclasses import dataclass
from uuid import UUID

from functions.auth.desk import Desk
from functions.auth.errors import InvalidCredentials, TooManyGuesses, WrongPassword
from functions.auth.sessions import SignedIn, start_session
from parley.auth.origin import Origin
from parley.auth.principal import Principal
from parley.db import sign_ins, users
from parley.db.scope import open_scope, principal_scope, user_scope


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody who knows a password, what it was compared with, and where the guess was counted."""

    user_id: UUID
    password_hash: str
    buckets: sign_ins.Buckets


def prove(desk: Desk, *, email: str, password: str, origin: Origin) -> Proof:
    """Check a password. Raises TooManyGuesses and InvalidCredentials.

    The guess is counted before the password is hashed, and no transaction is open while it is.
    """
    buckets = desk.throttle.of_password(email, origin)
    with open_scope(desk.background) as connection:
        attempt = sign_ins.attempt(connection, email, origin.network, buckets)
    if attempt.wait_s is not None:
        raise TooManyGuesses(attempt.wait_s)
    is_right = desk.passwords.is_right(password, attempt.password_hash)
    if not is_right or attempt.user_id is None or attempt.password_hash is None:
        raise InvalidCredentials(f"wrong password of {attempt.user_id}" if attempt.user_id else "unknown address")
    return Proof(attempt.user_id, attempt.password_hash, buckets)


def log_in(desk: Desk, *, email: str, password: str, origin: Origin) -> SignedIn:
    """Start a session. Raises TooManyGuesses and InvalidCredentials."""
    proof = prove(desk, email=email, password=password, origin=origin)
    ring = desk.key_ring()
    with user_scope(desk.engine, proof.user_id) as connection:
        signed_in = start_session(
            connection, proof.user_id, proof.password_hash, ring=ring, lifetimes=desk.lifetimes, origin=origin, emptied=proof.buckets
        )
    if desk.passwords.needs_rehash(proof.password_hash):
        _renew_hash(desk, proof, password)
    return signed_in


def _renew_hash(desk: Desk, proof: Proof, password: str) -> None:
    """Keep the same password by today's parameters. If it was changed or renewed meanwhile, that stands."""
    renewed = desk.passwords.hash(password)
    with user_scope(desk.engine, proof.user_id) as connection:
        users.replace_password_hash(connection, proof.user_id, proof.password_hash, renewed)


def prove_again(desk: Desk, principal: Principal, password: str, *, origin: Origin) -> tuple[users.User, Proof]:
    """Check the password of who is signed in. Raises TooManyGuesses and WrongPassword."""
    with principal_scope(desk.engine, principal) as connection:
        user = users.get(connection, principal.user_id)
    try:
        proof = prove(desk, email=user.email, password=password, origin=origin)
    except InvalidCredentials as exc:
        raise WrongPassword(str(exc)) from exc
    if proof.user_id != user.id:
        raise WrongPassword(f"the address of {user.id} is {proof.user_id}'s by now")
    return user, proof
