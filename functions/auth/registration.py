"""Registration: create an account immediately, or after the user returns a mailed code."""

from contextlib import suppress
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
from parley.db.engine import Engine
from parley.db.transactions import global_scope, user_scope
from parley.errors import Unavailable
from parley.ids import new_id
from parley.jobs import SignUp

SIGNUP_LIFETIME = timedelta(hours=1)


def register(
    services: AuthServices, *, email: str, password: str, display_name: str | None, invite: str | None, origin: ClientOrigin
) -> IssuedTokens | None:
    """Create an account and start a session, or return None if the address must be verified first.

    If addresses are verified, known and unknown addresses run the same statements and get the same response.
    Raises RegistrationClosed, InvalidInvite, EmailDomainRefused, TooManyAttempts, WeakPassword and EmailTaken.
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
    """Create the account of the sign-up that a mailed code confirms, and start a session.

    If several people signed up with the address, each mailed code belongs to one sign-up. It may be a stranger's, with a
    password that only the stranger knows. So the password is then required, to prove that the sign-up is the caller's own.
    Raises TooManyAttempts, InvalidCode, PasswordNeeded and InvalidInvite.
    """
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    parsed_code = OneTimeCode.parse(code)
    with global_scope(services.background) as connection:
        signup = signups.find(connection, parsed_code.owner_id, email=email, code_hash=parsed_code.hash)
        count = signups.count(connection, email)
    if signup is None:
        raise InvalidCode("unknown sign-up")
    if password is None and count > 1:
        raise PasswordNeeded
    if password is not None and not services.passwords.is_right(password, signup.password_hash):
        raise InvalidCode("the sign-up has another password")
    try:
        tokens = _create_account(services, signup, origin)
    except EmailTaken as exc:  # this code, or another for the same address, was used already
        raise InvalidCode("the address is taken") from exc
    # The account exists: repeated after an error, the code would count as used. Sign-ups that stay expire within the hour.
    with suppress(Unavailable), global_scope(services.background) as connection:
        signups.delete_by_email(connection, email)
    return tokens


def _create_account(services: AuthServices, signup: Signup, origin: ClientOrigin) -> IssuedTokens:
    role = services.registration_policy.role_of(signup.email)
    # Load the keys before the transaction: a used invite stays used if a later step fails.
    key_ring = services.key_ring()
    user_id = new_id()
    with user_scope(services.engine, user_id) as connection:
        if not users.add(
            connection,
            user_id,
            email=signup.email,
            display_name=signup.display_name,
            password_hash=signup.password_hash,
            role=role,
            is_verified=services.registration_policy.verifies_email,
        ):
            raise EmailTaken(f"{user_id} tried to register an address that is already in use")
        if signup.invite_id:
            _use_invite(services.background, signup.invite_id)
        audit.add(connection, user_id, "registered", origin)
        return start_session(
            connection, user_id, signup.password_hash, key_ring=key_ring, lifetimes=services.lifetimes, origin=origin, reset_buckets=None
        )


def _find_invite(services: AuthServices, invite: str | None, *, email: str) -> UUID | None:
    """Return the id of the invite to use up, or None if the address needs none. Raises InvalidInvite."""
    if not services.registration_policy.needs_invite(email):
        return None
    try:
        code_hash = OneTimeCode.parse(invite or "").hash
    except InvalidCode as exc:
        raise InvalidInvite("malformed invite") from exc
    with global_scope(services.background) as connection:
        invite_id = invites.find(connection, code_hash, email=email)
    if invite_id is None:
        raise InvalidInvite("unknown invite")
    return invite_id


def _use_invite(background: Engine, invite_id: UUID) -> None:
    """Use up the invite before the account is committed: a crash may lose an invite, but one invite never creates two accounts."""
    with global_scope(background) as connection:
        if not invites.use(connection, invite_id):
            raise InvalidInvite("the invite was used concurrently")
