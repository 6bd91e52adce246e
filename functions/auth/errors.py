"""What can go wrong with an account."""

from parley.errors import Forbidden, InvalidInput, ParleyError


class EmailTaken(ParleyError):
    """The address belongs to an account."""

    status, code = 409, "email_taken"
    public_message = "There is an account with this e-mail address. Log in instead."


class InvalidCredentials(ParleyError):
    """Address or password is wrong; which one is nobody's business."""

    status, code = 401, "invalid_credentials"
    public_message = "The e-mail address or the password is wrong."


class WrongPassword(ParleyError):
    """The current password, asked for once more, is wrong."""

    status, code = 403, "wrong_password"
    public_message = "The current password is wrong."


class InvalidRefreshToken(ParleyError):
    """The refresh token is unknown, used up or of a session that has ended."""

    status, code = 401, "invalid_refresh_token"
    public_message = "Your session has ended. Log in again."


class WeakPassword(InvalidInput):
    """The password is too easy to guess."""

    code = "weak_password"

    def __init__(self, reason: str, *, field: str = "password") -> None:
        super().__init__(reason, loc=("body", field))
        self.public_message = reason


class TooManyAttempts(ParleyError):
    """Too many passwords or codes have been tried for the account, from the place, or over all."""

    status, code = 429, "rate_limited"
    public_message = "Too many attempts. Try again later, or reset your password."
    retryable = True

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"try again in {wait_s:.0f} s")
        self.retry_after_s = wait_s


class RegistrationClosed(Forbidden):
    """This deployment takes no new accounts by itself."""

    code = "registration_closed"
    public_message = "Registration is closed here. Ask an admin for an account."


class InvalidInvite(Forbidden):
    """There is no invite, or none that this address may still use."""

    code = "invalid_invite"
    public_message = "Registration needs an invite that is valid for this address. Ask an admin for one."


class EmailDomainRefused(Forbidden):
    """The address is of a domain that this deployment does not take."""

    code = "email_domain_refused"
    public_message = "Accounts here are only for certain e-mail domains, and this is not one of them."


class PasswordNeeded(InvalidInput):
    """Several people have signed up with the address; only the password tells whose sign-up this is."""

    code = "password_needed"
    public_message = "Send the password that you signed up with, too."

    def __init__(self) -> None:
        super().__init__("there is more than one sign-up", loc=("body", "password"))


class TooManyApiKeys(ParleyError):
    """The user has as many API keys as anybody may have."""

    status, code = 409, "too_many_api_keys"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} API keys")
        self.public_message = f"You have {limit} API keys, the most there can be. Revoke one first."


class OwnAccount(ParleyError):
    """An admin would lock themselves out."""

    status, code = 409, "own_account"
    public_message = "You cannot disable or demote your own account. Ask another admin."
