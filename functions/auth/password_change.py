"""Another password: by who knows the old one, or by a code in a mail."""

from functions.auth.desk import Desk
from functions.auth.errors import WrongPassword
from functions.auth.sign_in import prove_again
from functions.auth.throttle import admit, may_mail
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.principal import Principal
from parley.db.accounts import audit, login_throttle, one_time_codes, sessions, users
from parley.db.transactions import principal_scope, user_scope
from parley.jobs import AccountNotice, ResetPassword


def change_password(services: Desk, principal: Principal, *, current_password: str, new_password: str, origin: ClientOrigin) -> None:
    """Store a new password and end the user's other sessions. Raises TooManyGuesses, WrongPassword and WeakPassword."""
    user, proof = prove_again(services, principal, current_password, origin=origin)
    services.passwords.check(new_password, email=user.email, field="new_password")
    password_hash = services.passwords.hash(new_password)
    with principal_scope(services.engine, principal) as connection:
        # Codes before the password, as a reset has it: two who lock in the same order never wait for each other.
        one_time_codes.invalidate(connection, user_id=user.id, purpose="reset_password")
        # Of two changes by the same old password the first one stands: it may have been the owner's, against the other.
        if not users.replace_password_hash(connection, user.id, proof.password_hash, password_hash):
            raise WrongPassword(f"the password of {user.id} was changed meanwhile")
        sessions.end_all(connection, user_id=user.id, but=principal.session_id)
        login_throttle.reset(connection, proof.buckets.account_keys)
        audit.add(connection, user.id, "password_changed", origin)
    services.queue.send_later(AccountNotice("password_changed", to=user.email))


def ask_for_reset(services: Desk, *, email: str, origin: ClientOrigin) -> None:
    """Have a code mailed, if somebody has the address; whether is not known here. Raises TooManyGuesses."""
    admit(services.background, services.throttle.of_place(origin))
    if may_mail(services.background, email, origin):
        services.queue.send(ResetPassword(email))


def reset_password(services: Desk, *, email: str, code: str, new_password: str, origin: ClientOrigin) -> None:
    """Store a new password and end every session. Raises TooManyGuesses, InvalidCode and WeakPassword.

    The password is judged before the code is used up, so that a weak one costs no second mail.
    """
    admit(services.background, services.throttle.of_place(origin))
    given = OneTimeCode.parse(code)
    services.passwords.check(new_password, email=email, field="new_password")
    password_hash = services.passwords.hash(new_password)
    with user_scope(services.engine, given.owner_id) as connection:
        if not one_time_codes.redeem(connection, given.hash, user_id=given.owner_id, purpose="reset_password"):
            raise InvalidCode(f"no code of {given.owner_id} to reset a password")
        user = users.get(connection, given.owner_id)
        if user.email != email or user.disabled_at:
            raise InvalidCode(f"the code of {user.id} does not fit")
        users.set_password_hash(connection, user.id, password_hash)
        sessions.end_all(connection, user_id=user.id)
        login_throttle.reset(connection, services.throttle.of_password(email, origin).account_keys)
        audit.add(connection, user.id, "password_reset", origin)
    services.queue.send_later(AccountNotice("password_changed", to=user.email))
