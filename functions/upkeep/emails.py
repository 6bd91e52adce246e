"""Sends emails with a code that proves an address, and notifications about an account.

A code is committed before its email is sent, so every code that arrives is valid. If a job is delivered twice, a second
code is sent and the first stops working.
"""

from datetime import timedelta

from functions.upkeep.services import UpkeepServices
from parley.auth.one_time_codes import OneTimeCode
from parley.db.accounts import one_time_codes, signups, users
from parley.db.transactions import global_scope, user_scope
from parley.jobs import AccountNotice, ChangeEmail, GroupInvitation, ResetPassword, SignUp

SIGN_UP_CODE_LIFETIME = timedelta(hours=1)
CODE_LIFETIME = timedelta(minutes=10)


def send_sign_up_code(services: UpkeepServices, job: SignUp) -> None:
    """Email a code to the address of a sign-up, or a hint if it already has an account. Do nothing if the sign-up was deleted."""
    code = OneTimeCode.new(job.signup_id)
    with global_scope(services.background) as connection:
        if (signup := signups.get(connection, job.signup_id)) is None:
            return
        is_taken = users.is_email_taken(connection, signup.email)
        if not is_taken:
            signups.set_code(connection, signup.id, code.hash, lifetime=SIGN_UP_CODE_LIFETIME)
    templates = services.email_templates
    email = templates.has_account() if is_taken else templates.sign_up(code, lifetime=SIGN_UP_CODE_LIFETIME)
    services.mailer.send(email, to=signup.email)


def send_reset_code(services: UpkeepServices, job: ResetPassword) -> None:
    """Email a password reset code to an address, if it has an account."""
    with global_scope(services.background) as connection:
        user_id = users.find_id(connection, job.email)
    if user_id is None:
        return
    code = OneTimeCode.new(user_id)
    with user_scope(services.engine, user_id) as connection:
        one_time_codes.add(connection, code.hash, user_id=user_id, purpose="reset_password", lifetime=CODE_LIFETIME)
    services.mailer.send(services.email_templates.reset_password(code, lifetime=CODE_LIFETIME), to=job.email)


def send_change_code(services: UpkeepServices, job: ChangeEmail) -> None:
    """Email a code to the new address and a warning to the current address.

    If the new address already has an account, email only a hint to the new address. Raises NotFound if the user was deleted.
    """
    with global_scope(services.background) as connection:
        is_taken = users.is_email_taken(connection, job.new_email)
    if is_taken:
        services.mailer.send(services.email_templates.address_taken(), to=job.new_email)
        return
    code = OneTimeCode.new(job.user_id)
    with user_scope(services.engine, job.user_id) as connection:
        user = users.get(connection, job.user_id)
        one_time_codes.add(connection, code.hash, user_id=user.id, purpose="change_email", lifetime=CODE_LIFETIME, new_email=job.new_email)
    services.mailer.send(services.email_templates.change_email(code, lifetime=CODE_LIFETIME), to=job.new_email)
    services.mailer.send(services.email_templates.email_change_requested(), to=user.email)


def send_notification(services: UpkeepServices, job: AccountNotice) -> None:
    """Email the owner of an account about a change to it."""
    services.mailer.send(services.email_templates.notification(job.notice), to=job.to)


def send_invitation(services: UpkeepServices, job: GroupInvitation) -> None:
    """Tell an address that it is invited to a group. The email names neither the group nor the inviter."""
    services.mailer.send(services.email_templates.group_invitation(), to=job.to)
