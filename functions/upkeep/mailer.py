"""Sends e-mail with SES."""

import re
from functools import cache
from typing import Any

from functions.upkeep.email_templates import RenderedEmail
from parley.aws.client import aws_client, translated_errors
from parley.errors import ParleyError
from parley.observability import logger

# One address and nothing around it: no list, no name, no comment, no line break.
_ATOM = r"[\x21-\x2d\x2f-\x3f\x41-\x7e]+"  # ASCII but for dots and @
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@([^@]+)")
_FORBIDDEN_CHARACTERS = re.compile(r"[\s,;:<>()\[\]\\\"\x00-\x1f\x7f]")


class MailFailed(ParleyError):
    """A mail could not be sent; the text names no address."""


class Mailer:
    """Sends letters from one address; empty means that there is none and every sending fails."""

    def __init__(self, sender: str) -> None:
        self._sender = sender

    def send(self, rendered: RenderedEmail, *, to: str) -> None:
        """Hand a letter to SES, or raise MailFailed. Whether it arrives, nobody learns here.

        An address that SES takes from nobody is passed over: whoever made it up must not make messages fail.
        """
        if not self._sender:
            logger.error("mail cannot be sent: MailFrom is empty")
            raise MailFailed("MailFrom is empty")
        if (address := _ses_address(to)) is None:
            logger.warning("a mail was not sent: that can be nobody's address")
        else:
            _send_with_ses(rendered, sender=self._sender, to=address)


def _ses_address(to: str) -> str | None:
    """Return the address as SES takes it (ASCII before the @, no dot beside nothing, the domain in Punycode), or None if it never would.

    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
    """
    found = None if _FORBIDDEN_CHARACTERS.search(to) else _ADDRESS.fullmatch(to)
    try:
        return f"{found[1]}@{found[2].encode('idna').decode()}" if found else None
    except UnicodeError:
        return None


def _send_with_ses(rendered: RenderedEmail, *, sender: str, to: str) -> None:
    body = {"Text": {"Data": rendered.text, "Charset": "UTF-8"}}
    content = {"Simple": {"Subject": {"Data": rendered.subject, "Charset": "UTF-8"}, "Body": body}}
    try:
        with translated_errors(lambda code, error: MailFailed(f"SES refused or did not respond: {code or type(error).__name__}")):
            _ses_client().send_email(FromEmailAddress=sender, Destination={"ToAddresses": [to]}, Content=content)
    except MailFailed as exc:
        # SES repeats the address in its message, and a cause is logged with its effect.
        raise exc from None


@cache
def _ses_client() -> Any:
    return aws_client("sesv2", read_timeout_s=5, connect_timeout=3)
