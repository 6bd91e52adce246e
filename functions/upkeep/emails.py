"""E-mails with a code that proves an address, and notifications of changes.

A code is committed before it is mailed, so a code that arrives works. If a message is delivered twice, a second code is
mailed and the first stops working.
"""

from datetime import timedelta

from functions.upkeep.services import UpkeepServices
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, signups, users
from parley.db.transactions import global_scope, user_scope
from parley.jobs import AccountNotice, ChangeEmail, ResetPassword, SignUp

SIGN_UP_CODE_LIFETIME = timedelta(hours=1)
CODE_LIFETIME = timedelta(minutes=10)


def send_sign_up_code(services: UpkeepServices, message: SignUp) -> None:
    """Mail a code to who signed up, or a word where the address has an account; nothing if the sign-up is gone."""
    code = OneTimeCode.new(message.signup_id)
    with global_scope(services.background) as connection:
        if (signup := signups.get(connection, message.signup_id)) is None:
            return
        is_taken = users.is_email_taken(connection, signup.email)
        if not is_taken:
            signups.set_code(connection, signup.id, code.hash, lifetime=SIGN_UP_CODE_LIFETIME)
    rendered = (
        services.email_templates.has_account() if is_taken else services.email_templates.sign_up(code, lifetime=SIGN_UP_CODE_LIFETIME)
    )
    services.mailer.send(rendered, to=signup.email)


def send_reset_code(services: UpkeepServices, message: ResetPassword) -> None:
    """Mail a code for another password to the account with this address; nothing if none has it."""
    with global_scope(services.background) as connection:
        user_id = users.find_id(connection, message.email)
    if user_id is None:
        return
    code = OneTimeCode.new(user_id)
    with user_scope(services.engine, user_id) as connection:
        one_time_codes.add(connection, code.hash, user_id=user_id, purpose="reset_password", lifetime=CODE_LIFETIME)
    services.mailer.send(services.email_templates.reset_password(code, lifetime=CODE_LIFETIME), to=message.email)


def send_change_code(services: UpkeepServices, message: ChangeEmail) -> None:
    """Mail a code to the new address and a warning to the old one; only a word to the new one where it is taken.

    Raises NotFound if the user is gone.
    """
    with global_scope(services.background) as connection:
        is_taken = users.is_email_taken(connection, message.new_email)
    if is_taken:
        return services.mailer.send(services.email_templates.address_taken(), to=message.new_email)
    code = OneTimeCode.new(message.user_id)
    with user_scope(services.engine, message.user_id) as connection:
        user = users.get(connection, message.user_id)
        one_time_codes.add(
            connection, code.hash, user_id=user.id, purpose="change_email", lifetime=CODE_LIFETIME, new_email=message.new_email
        )
    services.mailer.send(services.email_templates.change_email(code, lifetime=CODE_LIFETIME), to=message.new_email)
    return services.mailer.send(services.email_templates.email_change_requested(), to=user.email)


def send_notification(services: UpkeepServices, message: AccountNotice) -> None:
    """Tell the owner of an address what has happened to the account."""
    services.mailer.send(services.email_templates.notification(message.notice), to=message.to)
