"""Another e-mail address: asked for with the password, confirmed with a code that went to it."""

from functions.auth.desk import Desk
from functions.auth.errors import EmailTaken
from functions.auth.sign_in import prove_again
from functions.auth.throttle import admit, may_mail
from parley.auth.codes import Code, InvalidCode
from parley.auth.origin import Origin
from parley.auth.principal import Principal
from parley.db import audit, codes, guesses, users
from parley.db.scope import principal_scope
from parley.upkeep import ChangeEmail, Note


def ask_for_change(desk: Desk, principal: Principal, *, password: str, new_email: str, origin: Origin) -> None:
    """Have a code mailed to the new address. Raises TooManyGuesses, WrongPassword and EmailDomainRefused."""
    desk.admission.check_domain(new_email)
    user, proof = prove_again(desk, principal, password, origin=origin)
    with principal_scope(desk.engine, principal) as connection:
        guesses.forget(connection, proof.buckets.of_account)
        audit.add(connection, user.id, "email_change_requested", origin)
    if may_mail(desk.background, new_email, origin):
        desk.queue.send(ChangeEmail(user.id, new_email))


def confirm(desk: Desk, principal: Principal, *, code: str, origin: Origin) -> None:
    """Store the address that the code went to. Raises TooManyGuesses, InvalidCode and EmailTaken."""
    admit(desk.background, desk.throttle.of_place(origin))
    given = Code.parse(code)
    with principal_scope(desk.engine, principal) as connection:
        redeemed = codes.redeem(connection, given.hash, user_id=principal.user_id, purpose="change_email")
        if redeemed is None or redeemed.new_email is None:
            raise InvalidCode(f"no code of {principal.user_id} to change an address")
        user = users.get(connection, principal.user_id)
        if not users.change_email(connection, user.id, redeemed.new_email):
            raise EmailTaken(f"{user.id} confirmed an address in use")
        codes.drop(connection, user_id=user.id, purpose="reset_password")
        audit.add(connection, user.id, "email_changed", origin)
    desk.queue.send_later(Note("email_changed", to=user.email))
