"""Another password: by who knows the old one, or by a code in a mail."""

from functions.auth.desk import Desk
from functions.auth.errors import WrongPassword
from functions.auth.sign_in import prove_again
from functions.auth.throttle import admit, may_mail
from parley.auth.codes import Code, InvalidCode
from parley.auth.origin import Origin
from parley.auth.principal import Principal
from parley.db import audit, codes, guesses, sessions, users
from parley.db.scope import principal_scope, user_scope
from parley.upkeep import Note, ResetPassword


def change_password(desk: Desk, principal: Principal, *, current_password: str, new_password: str, origin: Origin) -> None:
    """Store a new password and end the user's other sessions. Raises TooManyGuesses, WrongPassword and WeakPassword."""
    user, proof = prove_again(desk, principal, current_password, origin=origin)
    desk.passwords.check(new_password, email=user.email, field="new_password")
    password_hash = desk.passwords.hash(new_password)
    with principal_scope(desk.engine, principal) as connection:
        # Codes before the password, as a reset has it: two who lock in the same order never wait for each other.
        codes.drop(connection, user_id=user.id, purpose="reset_password")
        # Of two changes by the same old password the first one stands: it may have been the owner's, against the other.
        if not users.replace_password_hash(connection, user.id, proof.password_hash, password_hash):
            raise WrongPassword(f"the password of {user.id} was changed meanwhile")
        sessions.end_all(connection, user_id=user.id, but=principal.session_id)
        guesses.forget(connection, proof.buckets.of_account)
        audit.add(connection, user.id, "password_changed", origin)
    desk.queue.send_later(Note("password_changed", to=user.email))


def ask_for_reset(desk: Desk, *, email: str, origin: Origin) -> None:
    """Have a code mailed, if somebody has the address; whether is not known here. Raises TooManyGuesses."""
    admit(desk.background, desk.throttle.of_place(origin))
    if may_mail(desk.background, email, origin):
        desk.queue.send(ResetPassword(email))


def reset_password(desk: Desk, *, email: str, code: str, new_password: str, origin: Origin) -> None:
    """Store a new password and end every session. Raises TooManyGuesses, InvalidCode and WeakPassword.

    The password is judged before the code is used up, so that a weak one costs no second mail.
    """
    admit(desk.background, desk.throttle.of_place(origin))
    given = Code.parse(code)
    desk.passwords.check(new_password, email=email, field="new_password")
    password_hash = desk.passwords.hash(new_password)
    with user_scope(desk.engine, given.owner_id) as connection:
        if not codes.redeem(connection, given.hash, user_id=given.owner_id, purpose="reset_password"):
            raise InvalidCode(f"no code of {given.owner_id} to reset a password")
        user = users.get(connection, given.owner_id)
        if user.email != email or user.disabled_at:
            raise InvalidCode(f"the code of {user.id} does not fit")
        users.set_password_hash(connection, user.id, password_hash)
        sessions.end_all(connection, user_id=user.id)
        guesses.forget(connection, desk.throttle.of_password(email, origin).of_account)
        audit.add(connection, user.id, "password_reset", origin)
    desk.queue.send_later(Note("password_changed", to=user.email))
