"""Secrets in AWS Secrets Manager."""

from parley.aws.client import aws_client, translated_errors
from parley.errors import ParleyError, Unavailable

_TRANSIENT_CODES = {"ThrottlingException", "InternalServiceError", "ServiceUnavailable", "RequestTimeout"}


class SecretUnreadable(ParleyError):
    """The secret does not exist or contains no text, or the function may not read it. The text names the secret and AWS's error code."""


def read_secret(name: str) -> str:
    """Return the text of the secret with this name or ARN, without surrounding white space.

    Raises SecretUnreadable, and Unavailable if Secrets Manager does not respond.
    """

    def error_for(code: str, _error: Exception) -> ParleyError:
        return Unavailable("Secrets Manager") if not code or code in _TRANSIENT_CODES else SecretUnreadable(f"{name}: {code}")

    with translated_errors(error_for):
        secret = aws_client("secretsmanager", read_timeout_s=3).get_secret_value(SecretId=name)
    if text := str(secret.get("SecretString", "")).strip():
        return text
    raise SecretUnreadable(f"{name}: the secret contains no text")
