"""Changes that users make to their own account: password, e-mail address, export, deletion and API keys.

Mails, exports and deletions are carried out by the upkeep function; here they are only queued.
"""

from typing import Any
from uuid import UUID

from functions.auth.api_keys import ApiKeyRequest, issue_key
from functions.auth.errors import EmailTaken, WrongPassword
from functions.auth.login import reauthenticate
from functions.auth.login_throttle import count_attempt, may_mail, may_notify
from functions.auth.schemas import MadeApiKeyOut, NewApiKey
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.principal import Principal
from parley.db import outbox
from parley.db.accounts import audit, exports, login_throttle, one_time_codes, sessions, users
from parley.db.accounts.exports import Export
from parley.db.transactions import principal_scope, user_scope
from parley.http.idempotency import Idempotency
from parley.ids import new_id
from parley.jobs import AccountNotice, ChangeEmail, OutboxJob, ResetPassword


def change_password(
    services: AuthServices, principal: Principal, *, current_password: str, new_password: str, origin: ClientOrigin
) -> None:
    """Store a new password and end the user's other sessions. Raises TooManyGuesses, WrongPassword and WeakPassword."""
    user, proof = reauthenticate(services, principal, current_password, origin=origin)
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


def request_password_reset(services: AuthServices, *, email: str, origin: ClientOrigin) -> None:
    """Have a code mailed, if somebody has the address; whether is not known here. Raises TooManyGuesses."""
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    if may_mail(services.background, email, origin):
        services.queue.send(ResetPassword(email))


def reset_password(services: AuthServices, *, email: str, code: str, new_password: str, origin: ClientOrigin) -> None:
    """Store a new password and end every session. Raises TooManyGuesses, InvalidCode and WeakPassword.

    The password is judged before the code is used up, so that a weak one costs no second mail.
    """
    count_attempt(services.background, services.throttle.origin_buckets(origin))
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
        login_throttle.reset(connection, services.throttle.password_buckets(email, origin).account_keys)
        audit.add(connection, user.id, "password_reset", origin)
    services.queue.send_later(AccountNotice("password_changed", to=user.email))


def request_email_change(services: AuthServices, principal: Principal, *, password: str, new_email: str, origin: ClientOrigin) -> None:
    """Have a code mailed to the new address. Raises TooManyGuesses, WrongPassword and EmailDomainRefused."""
    services.registration_policy.check_domain(new_email)
    user, proof = reauthenticate(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        login_throttle.reset(connection, proof.buckets.account_keys)
        audit.add(connection, user.id, "email_change_requested", origin)
    if may_mail(services.background, new_email, origin):
        services.queue.send(ChangeEmail(user.id, new_email))


def confirm_email_change(services: AuthServices, principal: Principal, *, code: str, origin: ClientOrigin) -> None:
    """Store the address that the code went to. Raises TooManyGuesses, InvalidCode and EmailTaken."""
    count_attempt(services.background, services.throttle.origin_buckets(origin))
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


EXPORT_URL_LIFETIME_S = 24 * 3600


def delete_account(services: AuthServices, principal: Principal, *, password: str, origin: ClientOrigin) -> None:
    """Shut the account at once and have everything of it deleted. Raises TooManyGuesses and WrongPassword."""
    user, _ = reauthenticate(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        users.disable(connection, user.id)
        sessions.end_all(connection, user_id=user.id)
        audit.add(connection, user.id, "deletion_requested", origin)
        entry = outbox.add(connection, "erase", user_id=user.id)
    services.queue.send_later(OutboxJob.of(entry))


def request_export(services: AuthServices, principal: Principal, *, origin: ClientOrigin) -> Export:
    """Have everything stored about the user written to a file; who asks again within the hour gets the same one."""
    with principal_scope(services.engine, principal) as connection:
        if (recent := exports.find_recent(connection, user_id=principal.user_id)) is not None:
            return recent
        export = exports.add(connection, new_id(), user_id=principal.user_id)
        audit.add(connection, principal.user_id, "export_requested", origin, export_id=str(export.id))
        entry = outbox.add(connection, "export", user_id=principal.user_id, subject_id=export.id)
    services.queue.send_later(OutboxJob.of(entry))
    return export


def get_export(services: AuthServices, principal: Principal, export_id: UUID) -> tuple[Export, str | None]:
    """Return an export and an address of its file that holds for a day, once there is one. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        export = exports.get(connection, export_id, user_id=principal.user_id)
    return export, services.files.signed_url(export.file_key, lifetime_s=EXPORT_URL_LIFETIME_S) if export.file_key else None


API_KEYS_ROUTE = "POST /auth/api-keys"


API_KEY_SECRET_FIELDS = frozenset({"key"})


def create_api_key(
    services: AuthServices, principal: Principal, body: NewApiKey, once: Idempotency, *, origin: ClientOrigin
) -> MadeApiKeyOut | dict[str, Any]:
    """Make the key and mail a notice, or answer as the first time, without the key itself. Raises KeyReused and what `make_key` does."""
    key_ring = services.key_ring()
    with principal_scope(services.engine, principal) as connection:
        key_request = ApiKeyRequest(**body.model_dump())
        answer = once.run_once(
            connection,
            principal.user_id,
            API_KEYS_ROUTE,
            body,
            lambda: MadeApiKeyOut.of(issue_key(connection, principal, key_ring, key_request, origin=origin)),
            secrets=API_KEY_SECRET_FIELDS,
        )
        email = users.get(connection, principal.user_id).email
    if isinstance(answer, MadeApiKeyOut) and may_notify(services.background, email):
        services.queue.send_later(AccountNotice("new_api_key", to=email))
    return answer
