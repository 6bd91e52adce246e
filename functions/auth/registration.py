"""From a person to an account: at once, or after the code in a mail has come back."""

from datetime import timedelta
from uuid import UUID

from functions.auth.desk import Desk
from functions.auth.errors import EmailTaken, InvalidInvite, PasswordNeeded
from functions.auth.sessions import SignedIn, start_session
from functions.auth.throttle import admit, may_mail
from parley.auth.codes import Code, InvalidCode
from parley.auth.origin import Origin
from parley.db import audit, invites, signups, users
from parley.db.scope import open_scope, user_scope
from parley.db.signups import Signup
from parley.ids import new_id
from parley.upkeep import SignUp

LIFETIME = timedelta(hours=1)


def register(desk: Desk, *, email: str, password: str, display_name: str | None, invite: str | None, origin: Origin) -> SignedIn | None:
    """Make an account and sign it in, or return None where a code must come back first.

    Where it must, known and unknown addresses are treated alike up to here: the same statements, the same message.
    Raises RegistrationClosed, InvalidInvite, EmailDomainRefused, TooManyGuesses, WeakPassword and EmailTaken.
    """
    desk.admission.check(email, has_invite=invite is not None)
    admit(desk.background, desk.throttle.of_place(origin))
    desk.passwords.check(password, email=email)
    invite_id = _find_invite(desk, invite, email=email)
    signup = Signup(new_id(), email, display_name, desk.passwords.hash(password), invite_id)
    if not desk.admission.verifies:
        return _make_account(desk, signup, origin)
    with open_scope(desk.background) as connection:
        signups.add(connection, signup, lifetime=LIFETIME)
    if may_mail(desk.background, email, origin):
        desk.queue.send(SignUp(signup.id))
    return None


def verify(desk: Desk, *, email: str, code: str, password: str | None, origin: Origin) -> SignedIn:
    """Make the account that a code proves, and sign it in.

    Where several people have signed up with the address, the mailed codes are of all of them, and one may be a
    stranger's, with a password that the stranger knows. The password tells whose it is.
    Raises TooManyGuesses, InvalidCode, PasswordNeeded and InvalidInvite.
    """
    admit(desk.background, desk.throttle.of_place(origin))
    given = Code.parse(code)
    with open_scope(desk.background) as connection:
        signup = signups.find(connection, given.owner_id, email=email, code_hash=given.hash)
        count = signups.count(connection, email)
    if signup is None:
        raise InvalidCode("no such sign-up")
    if password is None and count > 1:
        raise PasswordNeeded
    if password is not None and not desk.passwords.is_right(password, signup.password_hash):
        raise InvalidCode("the sign-up has another password")
    try:
        signed_in = _make_account(desk, signup, origin)
    except EmailTaken as exc:  # the code has been used, or another one for the same address
        raise InvalidCode("the address is taken") from exc
    with open_scope(desk.background) as connection:
        signups.drop(connection, email)
    return signed_in


def _make_account(desk: Desk, signup: Signup, origin: Origin) -> SignedIn:
    role = desk.admission.role_of(signup.email)
    # First: an invite that is used up stays so, whatever fails after it.
    ring = desk.key_ring()
    with user_scope(desk.engine, user_id := new_id()) as connection:
        if not users.add(
            connection, user_id, email=signup.email, display_name=signup.display_name, password_hash=signup.password_hash, role=role
        ):
            raise EmailTaken(f"{user_id} asked for an address in use")
        if signup.invite_id:
            _use_invite(desk, signup.invite_id)
        audit.add(connection, user_id, "registered", origin)
        return start_session(connection, user_id, signup.password_hash, ring=ring, lifetimes=desk.lifetimes, origin=origin, emptied=None)


def _find_invite(desk: Desk, invite: str | None, *, email: str) -> UUID | None:
    """Return the id of the invite that must be used up, or None where none is needed."""
    if not desk.admission.needs_invite(email):
        return None
    try:
        code_hash = Code.parse(invite or "").hash
    except InvalidCode as exc:
        raise InvalidInvite("not of the form of an invite") from exc
    with open_scope(desk.background) as connection:
        invite_id = invites.find(connection, code_hash, email=email)
    if invite_id is None:
        raise InvalidInvite("no such invite")
    return invite_id


def _use_invite(desk: Desk, invite_id: UUID) -> None:
    """Use the invite up before the account is committed: an invite may be lost in a crash, but never make two accounts."""
    with open_scope(desk.background) as connection:
        if not invites.use(connection, invite_id):
            raise InvalidInvite("used meanwhile")
