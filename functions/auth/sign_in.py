"""From a person to a session: registration and login."""

from sqlalchemy import Engine

from functions.auth.errors import EmailTaken, InvalidCredentials
from functions.auth.passwords import Passwords
from functions.auth.sessions import SignedIn, start_session
from parley.auth.signing_keys import KeyRing
from parley.db import users
from parley.db.scope import open_scope, user_scope
from parley.ids import new_id


def register(engine: Engine, passwords: Passwords, ring: KeyRing, *, email: str, password: str, display_name: str | None) -> SignedIn:
    """Make an account and sign it in. Raises EmailTaken and WeakPassword."""
    passwords.check(password)
    password_hash = passwords.hash(password)
    with user_scope(engine, user_id := new_id()) as connection:
        user = users.add(connection, user_id, email=email, display_name=display_name, password_hash=password_hash)
        if user is None:
            raise EmailTaken(f"{user_id} asked for an address in use")
        return start_session(connection, user, ring)


def log_in(engine: Engine, background: Engine, passwords: Passwords, ring: KeyRing, *, email: str, password: str) -> SignedIn:
    """Sign a user in, or raise InvalidCredentials. No transaction is open while the password is hashed."""
    with open_scope(background) as connection:
        found = users.find_credential(connection, email)
    if not passwords.is_right(password, found.password_hash if found else None) or found is None:
        raise InvalidCredentials("unknown address" if found is None else f"wrong password of {found.user_id}")
    renewed = passwords.hash(password) if passwords.needs_rehash(found.password_hash) else None
    with user_scope(engine, found.user_id) as connection:
        if renewed:
            users.set_password_hash(connection, found.user_id, renewed)
        return start_session(connection, users.get(connection, found.user_id), ring)
