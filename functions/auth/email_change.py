"""Another e-mail address: asked for with the password, confirmed with a code that went to it."""

from functions.auth.desk import Desk
from functions.auth.errors import EmailTaken
from functions.auth.sign_in import prove_again
from functions.auth.throttle import admit, may_mail
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.principal import Principal
from parley.db.accounts import audit, login_throttle, one_time_codes, users
from parley.db.transactions import principal_scope
from parley.jobs import AccountNotice, ChangeEmail


def ask_for_change(services: Desk, principal: Principal, *, password: str, new_email: str, origin: ClientOrigin) -> None:
    """Have a code mailed to the new address. Raises TooManyGuesses, WrongPassword and EmailDomainRefused."""
    services.admission.check_domain(new_email)
    user, proof = prove_again(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        login_throttle.reset(connection, proof.buckets.account_keys)
        audit.add(connection, user.id, "email_change_requested", origin)
    if may_mail(services.background, new_email, origin):
        services.queue.send(ChangeEmail(user.id, new_email))


def confirm(services: Desk, principal: Principal, *, code: str, origin: ClientOrigin) -> None:
    """Store the address that the code went to. Raises TooManyGuesses, InvalidCode and EmailTaken."""
    admit(services.background, services.throttle.of_place(origin))
    given = OneTimeCode.parse(code)
    with principal_scope(services.engine, principal) as connection:
        redeemed = one_time_codes.redeem(connection, given.hash, user_id=principal.user_id, purpose="change_email")
        if redeemed is None or redeemed.new_email is None:
            raise InvalidCode(f"no code of {principal.user_id} to change an address")
        user = users.get(connection, principal.user_id)
        if not users.change_email(connection, user.id, redeemed.new_email):
            raise EmailTaken(f"{user.id} confirmed an address in use")
        one_time_codes.invalidate(connection, user_id=user.id, purpose="reset_password")
        audit.add(connection, user.id, "email_changed", origin)
    services.queue.send_later(AccountNotice("email_changed", to=user.email))
