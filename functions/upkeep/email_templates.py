"""The text of every e-mail.

It contains nothing that a stranger can choose, no names and no addresses: our mail must not carry somebody else's message.
Only the operator's own address is named.
"""

from dataclasses import dataclass
from datetime import timedelta

from parley.auth.one_time_codes import OneTimeCode
from parley.jobs import AccountNoticeKind

_IGNORE_ADVICE = "If it was not you, you need do nothing: without the code nothing happens."
_SECURITY_ADVICE = (
    'If it was not you, set another password at once ("forgot password"), which also ends every session, and check your API keys.'
)
_NOTIFICATIONS: dict[AccountNoticeKind, tuple[str, str]] = {
    "password_changed": ("Your password was changed", "The password of your account was changed just now."),
    "email_changed": (
        "Your e-mail address was changed",
        "Your account has another e-mail address now. Mails about it no longer come here.",
    ),
    "new_api_key": ("A new API key was made", "A new API key was made for your account just now."),
}


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """A mail in plain text."""

    subject: str
    text: str


class EmailTemplates:
    """Writes mails that name `public_url`, the page or app that users know; empty means none."""

    def __init__(self, public_url: str) -> None:
        self._signature = "\n".join(["Parley", *([public_url] if public_url else [])])

    def sign_up(self, code: OneTimeCode, *, lifetime: timedelta) -> RenderedEmail:
        """Write to who has signed up."""
        reason = "Somebody, probably you, wants to make an account with this e-mail address. To confirm it, enter this code:"
        return self._render("Confirm your e-mail address", reason, str(code), _each_works(lifetime), _IGNORE_ADVICE)

    def has_account(self) -> RenderedEmail:
        """Write to who has signed up and has an account."""
        found = "Somebody, probably you, wanted to make an account with this e-mail address, but it has one."
        way = 'Sign in with it. If you have forgotten the password, choose "forgot password" there, and we mail you a code for a new one.'
        return self._render("You already have an account", found, way, "If it was not you, you need do nothing: nothing has changed.")

    def reset_password(self, code: OneTimeCode, *, lifetime: timedelta) -> RenderedEmail:
        """Write to who has forgotten the password."""
        reason = "Somebody, probably you, has forgotten the password of your account. To set a new one, enter this code:"
        return self._render("Set a new password", reason, str(code), _newest_works(lifetime), _IGNORE_ADVICE)

    def change_email(self, code: OneTimeCode, *, lifetime: timedelta) -> RenderedEmail:
        """Write to the new address of an account."""
        reason = "Somebody, probably you, wants to use this e-mail address for an account. To confirm it, enter this code while signed in:"
        return self._render("Confirm your new e-mail address", reason, str(code), _newest_works(lifetime), _IGNORE_ADVICE)

    def email_change_requested(self) -> RenderedEmail:
        """Warn the present address of an account."""
        reason = "Somebody, probably you, wants another e-mail address for your account. It changes when a code is entered that went there."
        return self._render("Your e-mail address is about to change", reason, _SECURITY_ADVICE)

    def address_taken(self) -> RenderedEmail:
        """Write to the new address of an account that has one of its own."""
        reason = "Somebody, probably you, wanted to use this e-mail address for another account, but it has one of its own."
        return self._render("This e-mail address has an account", reason, "If it was not you, you need do nothing: nothing has changed.")

    def notification(self, notice: AccountNoticeKind) -> RenderedEmail:
        """Tell what has happened."""
        subject, body = _NOTIFICATIONS[notice]
        return self._render(subject, body, "If it was you, you need do nothing.", _advice_for(notice))

    def _render(self, subject: str, *paragraphs: str) -> RenderedEmail:
        return RenderedEmail(subject, "\n\n".join(["Hello,", *paragraphs, self._signature]) + "\n")


def _validity(lifetime: timedelta) -> str:
    return f"It works once and for {int(lifetime.total_seconds() // 60)} minutes."


def _newest_works(lifetime: timedelta) -> str:
    return f"{_validity(lifetime)} If you get several, only the newest works."


def _each_works(lifetime: timedelta) -> str:
    """A sign-up brings its own password, and who signed up last need not be the reader."""
    return f"{_validity(lifetime)} If you get several, each is for one sign-up: enter the one that came when you signed up yourself."


def _advice_for(notice: AccountNoticeKind) -> str:
    """What to do if it was not you; who has lost the address cannot get a code there."""
    if notice == "email_changed":
        return "If it was not you, tell whoever runs this service at once."
    return _SECURITY_ADVICE
