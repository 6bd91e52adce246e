"""What can go wrong with an account."""

from parley.errors import InvalidInput, ParleyError


class EmailTaken(ParleyError):
    """The address belongs to an account."""

    status, code = 409, "email_taken"
    public_message = "There is an account with this e-mail address. Log in instead."


class InvalidCredentials(ParleyError):
    """Address or password is wrong; which one is nobody's business."""

    status, code = 401, "invalid_credentials"
    public_message = "The e-mail address or the password is wrong."


class InvalidRefreshToken(ParleyError):
    """The refresh token is unknown, used up or of a session that has ended."""

    status, code = 401, "invalid_refresh_token"
    public_message = "Your session has ended. Log in again."


class WeakPassword(InvalidInput):
    """The password is too easy to guess."""

    code = "weak_password"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, loc=("body", "password"))
        self.public_message = reason
