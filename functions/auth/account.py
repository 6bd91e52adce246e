"""Changes to the caller's own account: logout, password, e-mail address, data export and deletion.

The upkeep function sends the mails, writes the exports and deletes the data; this module only queues that work.
"""

from uuid import UUID

from functions.auth.errors import EmailTaken, WrongPassword
from functions.auth.login import reauthenticate, require_passkey
from functions.auth.login_throttle import count_attempt, may_mail
from functions.auth.oidc.issuers import IssuerLogout
from functions.auth.services import AuthServices
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.principal import Principal
from parley.db import outbox
from parley.db.accounts import api_keys, audit, exports, login_throttle, oidc, one_time_codes, passkeys, second_factors, sessions, users
from parley.db.accounts.exports import Export
from parley.db.transactions import lock_access, lock_until_end, principal_scope, user_scope
from parley.errors import Forbidden, NotFound
from parley.ids import new_id
from parley.jobs import AccountNotice, ChangeEmail, OutboxJob, ResetPassword

EXPORT_URL_LIFETIME_S = 24 * 3600


def log_out(services: AuthServices, principal: Principal, *, everywhere: bool, origin: ClientOrigin) -> IssuerLogout | None:
    """End the caller's session, or all of the user's, and return where the user logs out of the session's issuer too, if there is one.

    Raises Forbidden for an API key, which has no session, and Unauthorized if the session has ended meanwhile.
    """
    if principal.session_id is None:
        raise Forbidden(f"an API key of {principal.user_id} cannot log out")
    with principal_scope(services.engine, principal) as connection:
        issuer = oidc.issuer_of(connection, principal.session_id, user_id=principal.user_id)
        if everywhere:
            # A login or a client's consent at this moment starts a session that must end too.
            lock_access(connection, principal, is_exclusive=True)
            sessions.end_all(connection, user_id=principal.user_id)
        else:
            sessions.end(connection, principal.session_id, user_id=principal.user_id)
        audit.add(connection, principal.user_id, "logout_everywhere" if everywhere else "logout", origin)
    # No transaction is open while the issuer is asked for its address.
    return services.issuers.logout_of(issuer) if issuer else None


def change_password(
    services: AuthServices, principal: Principal, *, current_password: str, new_password: str, keep_api_keys: bool, origin: ClientOrigin
) -> None:
    """Store a new password, end the user's other sessions, and revoke the API keys unless `keep_api_keys`.

    Raises TooManyAttempts, WrongPassword and WeakPassword.
    """
    user, proof = reauthenticate(services, principal, current_password, origin=origin)
    services.passwords.check(new_password, email=user.email, field="new_password")
    password_hash = services.passwords.hash(new_password)
    with principal_scope(services.engine, principal) as connection:
        # Lock the codes before the password, in the same order as `reset_password`, so that the two cannot deadlock.
        one_time_codes.invalidate(connection, user_id=user.id, purpose="reset_password")
        # If two requests replace the same old password, the first wins: it may be the owner's and the second an attacker's.
        if not users.replace_password_hash(connection, user.id, proof.password_hash, password_hash):
            raise WrongPassword(f"the password of {user.id} was changed concurrently")
        sessions.end_all(connection, user_id=user.id, but=principal.session_id)
        revoked = 0 if keep_api_keys else api_keys.revoke_all(connection, user_id=user.id)
        login_throttle.reset(connection, proof.buckets.account_keys)
        audit.add(connection, user.id, "password_changed", origin, api_keys_revoked=revoked)
    services.queue.send_later(AccountNotice("password_changed_keys_revoked" if revoked else "password_changed", to=user.email))


def request_password_reset(services: AuthServices, *, email: str, origin: ClientOrigin) -> None:
    """Queue a reset mail. The upkeep function sends it only if the address has an account. Raises TooManyAttempts."""
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    if may_mail(services.background, email, origin):
        services.queue.send(ResetPassword(email))


def reset_password(services: AuthServices, *, email: str, code: str, new_password: str, origin: ClientOrigin) -> None:
    """Store a new password, end every session and revoke every API key. Raises TooManyAttempts, InvalidCode and WeakPassword.

    Sessions and API keys end because someone who knew the old password may hold them. Passkeys and the second factor stay, unless nobody
    has proven the address before: then somebody else may have registered it before its owner came. The new password is checked before
    the code is redeemed, so that a weak password does not cost a second mail.
    """
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    parsed_code = OneTimeCode.parse(code)
    services.passwords.check(new_password, email=email, field="new_password")
    password_hash = services.passwords.hash(new_password)
    with user_scope(services.engine, parsed_code.owner_id) as connection:
        if not one_time_codes.redeem(connection, parsed_code.hash, user_id=parsed_code.owner_id, purpose="reset_password"):
            raise InvalidCode(f"no valid password reset code of user {parsed_code.owner_id}")
        user = users.get(connection, parsed_code.owner_id)
        if user.email != email or user.disabled_at:
            raise InvalidCode(f"user {user.id} has another address or is disabled")
        # First, as it locks the credentials: a passkey that is added meanwhile waits or is removed too.
        users.set_password_hash(connection, user.id, password_hash)
        if not users.is_email_verified(connection, user.id):
            second_factors.remove(connection, user_id=user.id)
            passkeys.remove_all(connection, user_id=user.id)
        users.set_verified_email(connection, user.id, email)
        sessions.end_all(connection, user_id=user.id)
        revoked = api_keys.revoke_all(connection, user_id=user.id)
        login_throttle.reset(connection, services.throttle.password_buckets(email, origin).account_keys)
        audit.add(connection, user.id, "password_reset", origin, api_keys_revoked=revoked)
    services.queue.send_later(AccountNotice("password_reset", to=user.email))


def request_email_change(
    services: AuthServices, principal: Principal, *, password: str | None, new_email: str, origin: ClientOrigin
) -> None:
    """Queue a mail with a code to the new address.

    Raises PasskeyNeeded, as a login at an issuer by the new address would join the account, and EmailDomainRefused and the errors of
    `reauthenticate`.
    """
    services.registration_policy.check_domain(new_email)
    user, proof = reauthenticate(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        require_passkey(services, connection, principal)
        login_throttle.reset(connection, proof.buckets.account_keys)
        audit.add(connection, user.id, "email_change_requested", origin)
    if may_mail(services.background, new_email, origin):
        services.queue.send(ChangeEmail(user.id, new_email))


def confirm_email_change(services: AuthServices, principal: Principal, *, code: str, origin: ClientOrigin) -> None:
    """Redeem the mailed code and store the address to which it was mailed.

    Raises TooManyAttempts, InvalidCode, PasskeyNeeded and EmailTaken, and Unauthorized if the session has ended meanwhile.
    """
    count_attempt(services.background, services.throttle.origin_buckets(origin))
    parsed_code = OneTimeCode.parse(code)
    with principal_scope(services.engine, principal) as connection:
        redeemed = one_time_codes.redeem(connection, parsed_code.hash, user_id=principal.user_id, purpose="change_email")
        if redeemed is None or redeemed.new_email is None:
            raise InvalidCode(f"no valid e-mail change code of user {principal.user_id}")
        one_time_codes.invalidate(connection, user_id=principal.user_id, purpose="reset_password")
        lock_access(connection, principal, is_exclusive=True)
        require_passkey(services, connection, principal)
        user = users.get(connection, principal.user_id)
        users.set_verified_email(connection, user.id, redeemed.new_email)
        if not users.change_email(connection, user.id, redeemed.new_email):
            raise EmailTaken(f"user {user.id} confirmed an address that is already in use")
        audit.add(connection, user.id, "email_changed", origin)
    services.queue.send_later(AccountNotice("email_changed", to=user.email))


def delete_account(services: AuthServices, principal: Principal, *, password: str | None, origin: ClientOrigin) -> None:
    """Disable the account immediately and queue the deletion of its data.

    Raises TooManyAttempts, WrongPassword and LoginTooOld, and Unauthorized if the session has ended meanwhile.
    """
    user, _ = reauthenticate(services, principal, password, origin=origin)
    with principal_scope(services.engine, principal) as connection:
        lock_access(connection, principal, is_exclusive=True)
        users.disable(connection, user.id)
        sessions.end_all(connection, user_id=user.id)
        audit.add(connection, user.id, "deletion_requested", origin)
        entry = outbox.add(connection, "erase", user_id=user.id)
    services.queue.send_later(OutboxJob.of(entry))


def request_export(services: AuthServices, principal: Principal, *, origin: ClientOrigin) -> Export:
    """Queue an export of all data stored about the user.

    If an export is already queued, or became ready within the last hour, return that export instead.
    """
    with principal_scope(services.engine, principal) as connection:
        lock_until_end(connection, f"exports of {principal.user_id}")
        if (recent := exports.find_recent(connection, user_id=principal.user_id)) is not None:
            return recent
        export = exports.add(connection, new_id(), user_id=principal.user_id)
        audit.add(connection, principal.user_id, "export_requested", origin, export_id=str(export.id))
        entry = outbox.add(connection, "export", user_id=principal.user_id, subject_id=export.id)
    services.queue.send_later(OutboxJob.of(entry))
    return export


def get_export(services: AuthServices, principal: Principal, export_id: UUID) -> tuple[Export, str | None]:
    """Return an export and its download URL, which is valid for 24 hours. The URL is None if there is no file. Raises NotFound."""
    with principal_scope(services.engine, principal) as connection:
        export = exports.get(connection, export_id, user_id=principal.user_id)
    if export.kind == "audit" and "admin" not in principal.scopes:
        raise NotFound("export", export_id)
    url = services.files.signed_url(export.file_key, lifetime_s=EXPORT_URL_LIFETIME_S) if export.file_key else None
    return export, url
