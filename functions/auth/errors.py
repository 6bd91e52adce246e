"""Errors of accounts, logins and API keys."""

from parley.errors import Forbidden, InvalidInput, ParleyError


class EmailTaken(ParleyError):
    """The address already belongs to an account."""

    status, code = 409, "email_taken"
    public_message = "An account with this e-mail address already exists. Log in instead."


class InvalidCredentials(ParleyError):
    """The address or the password is wrong. The response does not say which, to hide who has an account."""

    status, code = 401, "invalid_credentials"
    public_message = "The e-mail address or the password is wrong."


class WrongPassword(ParleyError):
    """The current password, required again for a sensitive action, is wrong."""

    status, code = 403, "wrong_password"
    public_message = "The current password is wrong."


class LoginTooOld(InvalidInput):
    """The action needs the current password, or a login at an issuer within the last ten minutes."""

    code = "login_too_old"
    public_message = "Send your password, or sign in again with your organization's account and repeat this within ten minutes."

    def __init__(self, evidence: str) -> None:
        super().__init__("required, unless an issuer has just logged you in", loc=("body", "password"), evidence=evidence)


class InvalidRefreshToken(ParleyError):
    """The refresh token is unknown, already used, or belongs to a session that has ended."""

    status, code = 401, "invalid_refresh_token"
    public_message = "Your session has ended. Log in again."


class WeakPassword(InvalidInput):
    """The password is too easy to guess."""

    code = "weak_password"

    def __init__(self, reason: str, *, field: str = "password") -> None:
        super().__init__(reason, loc=("body", field))
        self.public_message = reason


class TooManyAttempts(ParleyError):
    """Too many passwords or codes were tried for this account, from this network, or overall."""

    status, code = 429, "rate_limited"
    public_message = "Too many attempts. Try again later, or reset your password."

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s:.0f} s")
        self.retry_after_s = wait_s


class TooManyClientRequests(TooManyAttempts):
    """Applications on this network have registered, or sent useless tokens and codes, too often."""

    public_message = "Too many requests of applications on this network. Try again later."


class RegistrationClosed(Forbidden):
    """This deployment does not accept registrations."""

    code = "registration_closed"
    public_message = "Registration is closed. Ask an admin for an account."


class InvalidInvite(Forbidden):
    """The invite is missing, unknown, used, expired, or meant for another address."""

    code = "invalid_invite"
    public_message = "Registration needs an invite that is valid for this address. Ask an admin for one."


class EmailDomainRefused(Forbidden):
    """This deployment does not accept addresses of this domain."""

    code = "email_domain_refused"
    public_message = "This e-mail domain is not allowed here. Use an address of an allowed domain, or ask an admin."


class PasswordNeeded(InvalidInput):
    """Several sign-ups share this address; only the password tells them apart."""

    code = "password_needed"
    public_message = "Also send the password that you signed up with."

    def __init__(self) -> None:
        super().__init__("required: several sign-ups share this address", loc=("body", "password"))


class TooManyApiKeys(ParleyError):
    """The user has reached the limit of API keys."""

    status, code = 409, "too_many_api_keys"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} API keys")
        self.public_message = f"You have {limit} API keys, which is the limit. Revoke one first."


class PasskeyNeeded(Forbidden):
    """The deployment demands a second factor, the account has a passkey, and the session began without it."""

    code = "passkey_needed"
    public_message = "Your account has a passkey. Sign in with it, then repeat this."


class OwnAccount(ParleyError):
    """An admin tried to disable or demote their own account."""

    status, code = 409, "own_account"
    public_message = "You cannot disable or demote your own account. Ask another admin."
