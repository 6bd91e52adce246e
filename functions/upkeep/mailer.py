"""Sends email with Amazon SES."""

import re
from functools import cache
from typing import Any

from functions.upkeep.email_templates import RenderedEmail
from parley.errors import ParleyError
from parley.observability import logger

# One bare address: no list, display name, comment or line break, which could add recipients.
_ATOM = r"[\x21-\x2d\x2f-\x3f\x41-\x7e]+"  # ASCII without dot and @
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@([^@]+)")
_FORBIDDEN_CHARACTERS = re.compile(r"[\s,;:<>()\[\]\\\"\x00-\x1f\x7f]")


class MailFailed(ParleyError):
    """SES did not accept an email. The error message contains no address."""


class Mailer:
    """Sends emails from the address `sender`; if it is empty, every attempt fails."""

    def __init__(self, sender: str) -> None:
        self._sender = sender

    def send(self, email: RenderedEmail, *, to: str) -> None:
        """Hand an email over to SES, or raise MailFailed. Success does not mean that the email is delivered.

        An address that SES never accepts is skipped, because a made-up address must not make jobs fail.
        """
        if not self._sender:
            logger.error("email_sender_missing", setting="MailFrom")
            raise MailFailed("MailFrom is empty")
        if (address := _ses_address(to)) is None:
            logger.warning("email_address_rejected")
        else:
            _send_with_ses(email, sender=self._sender, to=address)


def _ses_address(to: str) -> str | None:
    """Return the address in the form that SES accepts, or None if SES cannot accept it.

    The part before the @ is ASCII without leading, trailing or double dots, and the domain is in Punycode:
    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
    """
    match = None if _FORBIDDEN_CHARACTERS.search(to) else _ADDRESS.fullmatch(to)
    try:
        return f"{match[1]}@{match[2].encode('idna').decode()}" if match else None
    except UnicodeError:
        return None


def _send_with_ses(email: RenderedEmail, *, sender: str, to: str) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    body = {"Text": {"Data": email.text, "Charset": "UTF-8"}}
    content = {"Simple": {"Subject": {"Data": email.subject, "Charset": "UTF-8"}, "Body": body}}
    try:
        _ses_client().send_email(FromEmailAddress=sender, Destination={"ToAddresses": [to]}, Content=content)
    except ClientError as exc:
        # `from None`: the log would include the cause, and SES repeats the address in its message.
        raise MailFailed(f"SES refused: {exc.response['Error']['Code']}") from None
    except BotoCoreError as exc:
        raise MailFailed(f"SES cannot be reached: {type(exc).__name__}") from None


@cache
def _ses_client() -> Any:
    import boto3  # slow to import, and most jobs send no email
    from botocore.config import Config

    return boto3.client("sesv2", config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2}))
