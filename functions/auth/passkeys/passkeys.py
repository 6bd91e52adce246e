"""A user's passkeys: add, rename and remove."""

from uuid import UUID

from functions.auth.errors import WrongPassword
from functions.auth.login import reauthenticate, require_passkey
from functions.auth.login_throttle import may_notify
from functions.auth.passkeys import challenges
from functions.auth.passkeys.errors import PasskeyKnown, PasskeysOff, TooManyPasskeys
from functions.auth.passkeys.relying_party import BrowserOptions, NewCredential, RelyingParty, VerifiedCredential
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.principal import Principal
from parley.db.accounts import audit, login_throttle, passkeys, users
from parley.db.accounts.passkeys import Passkey
from parley.db.engine import Connection
from parley.db.transactions import lock_access, lock_until_end, principal_scope
from parley.ids import new_id
from parley.jobs import AccountNotice

MAX_PASSKEYS = 10


def relying_party(services: AuthServices) -> RelyingParty:
    """Return the deployment's relying party, or raise PasskeysOff."""
    if services.relying_party is None:
        raise PasskeysOff
    return services.relying_party


def begin(services: AuthServices, principal: Principal, *, password: str | None, origin: ClientOrigin) -> BrowserOptions:
    """Return the browser's options for a new passkey.

    Raises PasskeysOff, PasskeyNeeded, TooManyPasskeys and the errors of `reauthenticate`.
    """
    party = relying_party(services)
    user, proof = reauthenticate(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        if not users.lock_password_hash(connection, user.id, proof.password_hash):
            raise WrongPassword(f"the password of {user.id} was changed concurrently")
        require_passkey(services, connection, principal)
        login_throttle.reset(connection, proof.buckets.account_keys)
        known = passkeys.credentials(connection, user_id=user.id)
    if len(known) >= MAX_PASSKEYS:
        raise TooManyPasskeys(MAX_PASSKEYS)
    challenge = challenges.issue(services, "add", user.id)
    return party.creation_options(user, challenge, known)


def add(services: AuthServices, principal: Principal, *, name: str, answer: NewCredential, origin: ClientOrigin) -> Passkey:
    """Store the passkey that a browser made, and queue a mail about it.

    Raises PasskeysOff, PasskeyNeeded, InvalidPasskey, PasskeyKnown and TooManyPasskeys, and Unauthorized if the session has ended
    meanwhile.
    """
    party = relying_party(services)
    with principal_scope(services.engine, principal) as connection:
        email = users.get(connection, principal.user_id).email
    challenge = party.challenge_of(answer.response.client_data)
    challenges.use(services, challenge, "add", principal.user_id)
    verified = party.verify_new(answer, challenge)
    with principal_scope(services.engine, principal) as connection:
        lock_access(connection, principal)
        # Before the check: of two sessions by the password that add a first passkey, the second is then refused.
        lock(connection, principal.user_id)
        require_passkey(services, connection, principal)
        added = store(connection, principal.user_id, name, verified)
        audit.add(connection, principal.user_id, "passkey_added", origin, passkey_id=str(added.id))
    if may_notify(services.background, email):
        services.queue.send_later(AccountNotice("new_passkey", to=email))
    return added


def lock(connection: Connection, user_id: UUID) -> None:
    """Let nobody else add a passkey to the account until the transaction ends. Read its passkeys after this call."""
    lock_until_end(connection, f"passkeys of {user_id}")


def store(connection: Connection, user_id: UUID, name: str, verified: VerifiedCredential) -> Passkey:
    """Store a passkey. Raises PasskeyKnown and TooManyPasskeys."""
    lock(connection, user_id)
    if len(passkeys.credentials(connection, user_id=user_id)) >= MAX_PASSKEYS:
        raise TooManyPasskeys(MAX_PASSKEYS)
    added = passkeys.add(connection, new_id(), verified.credential, user_id=user_id, name=name, is_backed_up=verified.is_backed_up)
    if added is None:
        raise PasskeyKnown(f"a credential of {user_id}")
    return added


def remove(services: AuthServices, principal: Principal, passkey_id: UUID, *, password: str | None, origin: ClientOrigin) -> None:
    """Delete a passkey.

    Raises NotFound, PasskeyNeeded and the errors of `reauthenticate`, and Unauthorized if the session has ended meanwhile.
    """
    with principal_scope(services.engine, principal) as connection:
        passkeys.get(connection, passkey_id, user_id=principal.user_id)
    _, proof = reauthenticate(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        lock_access(connection, principal, is_exclusive=True)
        require_passkey(services, connection, principal)
        passkeys.remove(connection, passkey_id, user_id=principal.user_id)
        login_throttle.reset(connection, proof.buckets.account_keys)
        audit.add(connection, principal.user_id, "passkey_removed", origin, passkey_id=str(passkey_id))
