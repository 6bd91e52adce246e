"""Mails that prove an address, and mails that tell of a change.

A code is committed before it is mailed: one that arrives works. Where a message comes twice, a second code is mailed and
the first stops working.
"""

from datetime import timedelta

from functions.upkeep.desk import Desk
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, signups, users
from parley.db.transactions import global_scope, user_scope
from parley.jobs import AccountNotice, ChangeEmail, ResetPassword, SignUp

SIGN_UP_LIFETIME = timedelta(hours=1)
LIFETIME = timedelta(minutes=10)


def answer_sign_up(services: Desk, message: SignUp) -> None:
    """Mail a code to who signed up, or a word where the address has an account; nothing if the sign-up is gone."""
    code = OneTimeCode.new(message.signup_id)
    with global_scope(services.background) as connection:
        if (signup := signups.get(connection, message.signup_id)) is None:
            return
        is_taken = users.is_email_taken(connection, signup.email)
        if not is_taken:
            signups.set_code(connection, signup.id, code.hash, lifetime=SIGN_UP_LIFETIME)
    letter = services.letters.has_account() if is_taken else services.letters.sign_up(code, lifetime=SIGN_UP_LIFETIME)
    services.mail.send(letter, to=signup.email)


def send_reset_code(services: Desk, message: ResetPassword) -> None:
    """Mail a code for another password to the account with this address; nothing if none has it."""
    with global_scope(services.background) as connection:
        user_id = users.find_id(connection, message.email)
    if user_id is None:
        return
    code = OneTimeCode.new(user_id)
    with user_scope(services.engine, user_id) as connection:
        one_time_codes.add(connection, code.hash, user_id=user_id, purpose="reset_password", lifetime=LIFETIME)
    services.mail.send(services.letters.reset_password(code, lifetime=LIFETIME), to=message.email)


def send_change_code(services: Desk, message: ChangeEmail) -> None:
    """Mail a code to the new address and a warning to the old one; only a word to the new one where it is taken.

    Raises NotFound if the user is gone.
    """
    with global_scope(services.background) as connection:
        is_taken = users.is_email_taken(connection, message.new_email)
    if is_taken:
        return services.mail.send(services.letters.address_taken(), to=message.new_email)
    code = OneTimeCode.new(message.user_id)
    with user_scope(services.engine, message.user_id) as connection:
        user = users.get(connection, message.user_id)
        one_time_codes.add(connection, code.hash, user_id=user.id, purpose="change_email", lifetime=LIFETIME, new_email=message.new_email)
    services.mail.send(services.letters.change_email(code, lifetime=LIFETIME), to=message.new_email)
    return services.mail.send(services.letters.change_asked(), to=user.email)


def send_note(services: Desk, message: AccountNotice) -> None:
    """Tell the owner of an address what has happened to the account."""
    services.mail.send(services.letters.note(message.notice), to=message.to)
