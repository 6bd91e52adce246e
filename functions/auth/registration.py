"""From a person to an account: at once, or after the code in a mail has come back."""

from datetime import timedelta
from uuid import UUID

from functions.auth.errors import EmailTaken, InvalidInvite, PasswordNeeded
from functions.auth.login_throttle import count_attempt, may_mail
from functions.auth.services import AuthServices
from functions.auth.sessions import IssuedTokens, start_session
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.db.accounts import audit, invites, signups, users
from parley.db.accounts.signups import Signup
from parley.db.transactions import global_scope, user_scope
from parley.ids import new_id
from parley.jobs import SignUp

SIGNUP_LIFETIME = timedelta(hours=1)


def register(
    services: AuthServices, *, email: str, password: str, display_name: str | None, invite: str | None, origin: ClientOrigin
) -> IssuedTokens | None:
    """Make an account and sign it in, or return None where a code must come back first.

    Where it must, known and unknown addresses are treated alike up to here: the same statements, the same message.
    Raises RegistrationClosed, InvalidInvite, EmailDomainRefused, TooManyGuesses, WeakPassword and EmailTaken.
    """
    services.registration_policy.check(email, has_invite=invite is not None)
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    services.passwords.check(password, email=email)
    invite_id = _find_invite(services, invite, email=email)
    signup = Signup(new_id(), email, display_name, services.passwords.hash(password), invite_id)
    if not services.registration_policy.verifies_email:
        return _create_account(services, signup, origin)
    with global_scope(services.background) as connection:
        signups.add(connection, signup, lifetime=SIGNUP_LIFETIME)
    if may_mail(services.background, email, origin):
        services.queue.send(SignUp(signup.id))
    return None


def verify(services: AuthServices, *, email: str, code: str, password: str | None, origin: ClientOrigin) -> IssuedTokens:
    """Make the account that a code proves, and sign it in.

    Where several people have signed up with the address, the mailed codes are of all of them, and one may be a
    stranger's, with a password that the stranger knows. The password tells whose it is.
    Raises TooManyGuesses, InvalidCode, PasswordNeeded and InvalidInvite.
    """
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    given = OneTimeCode.parse(code)
    with global_scope(services.background) as connection:
        signup = signups.find(connection, given.owner_id, email=email, code_hash=given.hash)
        count = signups.count(connection, email)
    if signup is None:
        raise InvalidCode("no such sign-up")
    if password is None and count > 1:
        raise PasswordNeeded
    if password is not None and not services.passwords.is_right(password, signup.password_hash):
        raise InvalidCode("the sign-up has another password")
    try:
        signed_in = _create_account(services, signup, origin)
    except EmailTaken as exc:  # the code has been used, or another one for the same address
        raise InvalidCode("the address is taken") from exc
    with global_scope(services.background) as connection:
        signups.delete_by_email(connection, email)
    return signed_in


def _create_account(services: AuthServices, signup: Signup, origin: ClientOrigin) -> IssuedTokens:
    role = services.registration_policy.role_of(signup.email)
    # First: an invite that is used up stays so, whatever fails after it.
    key_ring = services.key_ring()
    with user_scope(services.engine, user_id := new_id()) as connection:
        if not users.add(
            connection, user_id, email=signup.email, display_name=signup.display_name, password_hash=signup.password_hash, role=role
        ):
            raise EmailTaken(f"{user_id} asked for an address in use")
        if signup.invite_id:
            _use_invite(services, signup.invite_id)
        audit.add(connection, user_id, "registered", origin)
        return start_session(
            connection, user_id, signup.password_hash, key_ring=key_ring, lifetimes=services.lifetimes, origin=origin, emptied=None
        )


def _find_invite(services: AuthServices, invite: str | None, *, email: str) -> UUID | None:
    """Return the id of the invite that must be used up, or None where none is needed."""
    if not services.registration_policy.needs_invite(email):
        return None
    try:
        code_hash = OneTimeCode.parse(invite or "").hash
    except InvalidCode as exc:
        raise InvalidInvite("not of the form of an invite") from exc
    with global_scope(services.background) as connection:
        invite_id = invites.find(connection, code_hash, email=email)
    if invite_id is None:
        raise InvalidInvite("no such invite")
    return invite_id


def _use_invite(services: AuthServices, invite_id: UUID) -> None:
    """Use the invite up before the account is committed: an invite may be lost in a crash, but never make two accounts."""
    with global_scope(services.background) as connection:
        if not invites.use(connection, invite_id):
            raise InvalidInvite("used meanwhile")
