"""Login with a passkey: instead of the password, or instead of a code after the password.

An authenticator verifies its user by a PIN, a fingerprint or a face before it signs, so a passkey alone is two factors.
"""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from functions.auth.login import record_failure
from functions.auth.login_throttle import count_attempt
from functions.auth.passkeys import challenges
from functions.auth.passkeys.errors import ClonedPasskey, InvalidPasskey, NoPasskey, UnknownPasskey
from functions.auth.passkeys.passkeys import relying_party
from functions.auth.passkeys.relying_party import BrowserOptions, RelyingParty, SignedChallenge
from functions.auth.second_factor import totp
from functions.auth.services import AuthServices
from functions.auth.sessions import IssuedTokens, start_session
from parley.auth.client_origin import ClientOrigin
from parley.db.accounts import audit, passkeys, users
from parley.db.engine import Connection
from parley.db.transactions import user_scope


def begin(services: AuthServices, *, challenge: str | None, origin: ClientOrigin) -> BrowserOptions:
    """Return the browser's options: for any passkey of this site or, with the `challenge` of a right password, for its account's.

    Raises PasskeysOff, NoPasskey, InvalidSecondFactor and TooManyAttempts.
    """
    party = relying_party(services)
    count_attempt(services.background, services.throttle.issuer_buckets(origin))
    if challenge is None:
        return party.request_options(challenges.issue(services, "sign_in", None), [])
    user_id = totp.user_of(services, challenge)
    with user_scope(services.engine, user_id) as connection:
        allowed = passkeys.credentials(connection, user_id=user_id)
    if not allowed:
        raise NoPasskey(str(user_id))
    return party.request_options(challenges.issue(services, "second_step", user_id), allowed)


def log_in(services: AuthServices, *, challenge: str | None, answer: SignedChallenge, origin: ClientOrigin) -> IssuedTokens:
    """Start a session with a passkey's signature, after a right password if there is its `challenge`.

    Raises PasskeysOff, InvalidPasskey, InvalidSecondFactor, InvalidCredentials and TooManyAttempts.
    """
    party = relying_party(services)
    signed = party.challenge_of(answer.response.client_data)
    user_id = answer.user_id if challenge is None else totp.user_of(services, challenge)
    if user_id is None or (answer.response.user_handle and answer.user_id != user_id):
        raise InvalidPasskey("the passkey names no account, or another")
    if challenge is None:
        challenges.use(services, signed, "sign_in", None)
    else:
        challenges.use(services, signed, "second_step", user_id)
    check = partial(_check, party, answer, signed)
    try:
        if challenge is None:
            return _start_session(services, user_id, check, origin)
        return totp.log_in_by(services, challenge, check, origin)
    except ClonedPasskey as exc:
        with user_scope(services.engine, user_id) as connection:
            audit.add(connection, user_id, "passkey_cloned", origin, passkey_id=str(exc.passkey_id))
        raise
    except InvalidPasskey as exc:
        record_failure(services, None if isinstance(exc, UnknownPasskey) else user_id, origin)
        raise


def _start_session(services: AuthServices, user_id: UUID, check: Callable[[Connection, UUID], None], origin: ClientOrigin) -> IssuedTokens:
    key_ring = services.key_ring()
    with user_scope(services.engine, user_id) as connection:
        # Before the passkey's use is recorded: a reset locks the credentials first too, so that the two cannot deadlock.
        password_hash = users.lock_credentials(connection, user_id)
        if password_hash is None:
            raise UnknownPasskey("no such account")
        check(connection, user_id)
        return start_session(
            connection,
            user_id,
            password_hash,
            key_ring=key_ring,
            lifetimes=services.lifetimes,
            origin=origin,
            reset_buckets=None,
            has_second_factor=True,
        )


def _check(party: RelyingParty, answer: SignedChallenge, challenge: bytes, connection: Connection, user_id: UUID) -> None:
    """Verify the signature by one of the user's passkeys, and record its use. Raises InvalidPasskey."""
    found = passkeys.find_credential(connection, answer.credential_id, user_id=user_id)
    if found is None:
        raise UnknownPasskey("no such passkey of the account")
    passkey_id, credential = found
    use = party.verify_signature(answer, challenge, credential)
    if not passkeys.advance(connection, passkey_id, user_id=user_id, sign_count=use.sign_count, is_backed_up=use.is_backed_up):
        raise ClonedPasskey(passkey_id)
