"""The text of every email.

An email contains no name, address or other value that a stranger can choose, so that our mail never carries somebody
else's message. Only the operator's public URL appears.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from parley.auth.one_time_codes import OneTimeCode
from parley.jobs import AccountNoticeKind, ScheduleNoticeKind

_IGNORE_ADVICE = "If this was not you, ignore this email: without the code, nothing changes."
_NOTHING_CHANGED = "If this was not you, ignore this email: nothing has changed."
_SECURITY_ADVICE = (
    'If this was not you, set another password at once ("forgot password"). This also ends every session and revokes every API key.'
)
_KEYS_REVOKED = "All API keys were revoked: create new ones for the programs that used them."
_NOTIFICATIONS: dict[AccountNoticeKind, tuple[str, str]] = {
    "password_changed": ("Your password was changed", "The password of your account was just changed. Its API keys still work."),
    "password_changed_keys_revoked": (
        "Your password was changed",
        f"The password of your account was just changed. {_KEYS_REVOKED}",
    ),
    "password_reset": (
        "Your password was reset",
        f"The password of your account was just reset with a code that was sent to this address. All sessions have ended. {_KEYS_REVOKED}",
    ),
    "email_changed": (
        "Your email address was changed",
        "The email address of your account was just changed. Emails about your account no longer come to this address.",
    ),
    "new_api_key": ("A new API key was created", "A new API key was just created for your account."),
    "new_passkey": (
        "A passkey was added",
        "A passkey was just added to your account. It signs in without the password. "
        "A new password does not remove it: the settings of your account do.",
    ),
    "second_factor_on": (
        "A second factor was added",
        "An authenticator app was just added to your account. To log in, its codes are now needed beside the password, also a new one.",
    ),
    "second_factor_off": (
        "The second factor was removed",
        "The authenticator app of your account was just removed. Nobody needs its codes to log in any more.",
    ),
}


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """An email in plain text."""

    subject: str
    text: str


class EmailTemplates:
    """Renders emails. The signature contains `public_url`, the page or app that users know, unless it is empty."""

    def __init__(self, public_url: str) -> None:
        self._signature = "\n".join(["Parley", *([public_url] if public_url else [])])

    def sign_up(self, code: OneTimeCode, *, lifetime: timedelta) -> RenderedEmail:
        """Render the email with the code that confirms the address of a sign-up."""
        reason = "Somebody, probably you, wants to create an account with this email address. To confirm the address, enter this code:"
        return self._render("Confirm your email address", reason, str(code), _each_works(lifetime), _IGNORE_ADVICE)

    def has_account(self) -> RenderedEmail:
        """Render the response to a sign-up whose address already has an account."""
        reason = "Somebody, probably you, tried to create an account with this email address, which already has an account."
        remedy = 'Log in to it. If you have forgotten the password, choose "forgot password" to get a code for a new one.'
        return self._render("You already have an account", reason, remedy, _NOTHING_CHANGED)

    def reset_password(self, code: OneTimeCode, *, lifetime: timedelta) -> RenderedEmail:
        """Render the email with the code for replacing a forgotten password."""
        reason = "Somebody, probably you, has forgotten the password of your account. To set a new password, enter this code:"
        effect = "A new password ends all sessions and revokes all API keys of the account."
        return self._render("Set a new password", reason, str(code), effect, _newest_works(lifetime), _IGNORE_ADVICE)

    def change_email(self, code: OneTimeCode, *, lifetime: timedelta) -> RenderedEmail:
        """Render the email, to the new address of an account, with the code that confirms it."""
        reason = "Somebody, probably you, wants to use this email address for an account. To confirm it, enter this code while logged in:"
        return self._render("Confirm your new email address", reason, str(code), _newest_works(lifetime), _IGNORE_ADVICE)

    def email_change_requested(self) -> RenderedEmail:
        """Render the warning, to the current address of an account, that a new address was requested."""
        reason = (
            "Somebody, probably you, wants to use another email address for your account. "
            "The address changes when the code that we sent to the new address is entered."
        )
        return self._render("Your email address is about to change", reason, _SECURITY_ADVICE)

    def address_taken(self) -> RenderedEmail:
        """Render the email to an address that was requested as a new address but already has an account."""
        reason = "Somebody, probably you, tried to use this email address for another account, but it already has an account."
        return self._render("This email address has an account", reason, _NOTHING_CHANGED)

    def notification(self, notice: AccountNoticeKind) -> RenderedEmail:
        """Render the report of a change to the account."""
        subject, body = _NOTIFICATIONS[notice]
        return self._render(subject, body, "If this was you, ignore this email.", _advice_for(notice))

    def group_invitation(self) -> RenderedEmail:
        """Render the email to an address that an owner of a group has invited."""
        reason = "You are invited to a group. Its members share documents and assistants with each other."
        remedy = (
            "Sign in with this email address, and open your groups to join or to decline. "
            "If you have no account yet, create one with this address first; where that is not possible, ask the person who invited you."
        )
        return self._render("You are invited to a group", reason, remedy, "If you do not want to join, ignore this email.")

    def schedule(self, notice: ScheduleNoticeKind, conversation_id: UUID | None) -> RenderedEmail:
        """Render the report of a scheduled prompt that has an answer, or was paused because its runs failed."""
        if notice == "paused":
            reason = "One of your scheduled prompts failed several times in a row, and was paused. Its list of runs gives the reasons."
            return self._render("A scheduled prompt was paused", reason, "Enable it again once the reason is gone.")
        where = f"Its answer is in the conversation {conversation_id}." if conversation_id else "Its answer is in your conversations."
        return self._render("A scheduled prompt has an answer", f"One of your scheduled prompts has run. {where}")

    def _render(self, subject: str, *paragraphs: str) -> RenderedEmail:
        return RenderedEmail(subject, "\n\n".join(["Hello,", *paragraphs, self._signature]) + "\n")


def _validity(lifetime: timedelta) -> str:
    return f"The code works once, for {int(lifetime.total_seconds() // 60)} minutes."


def _newest_works(lifetime: timedelta) -> str:
    return f"{_validity(lifetime)} If you get several, only the newest works."


def _each_works(lifetime: timedelta) -> str:
    """Tell the reader which code to use. Each sign-up has its own password, and the latest sign-up may not be the reader's."""
    return f"{_validity(lifetime)} If you get several, each belongs to one sign-up: enter the code that came when you signed up yourself."


def _advice_for(notice: AccountNoticeKind) -> str:
    """Return the advice for a change that the owner did not make.

    A lost address cannot receive a reset code, and a new password does not get past a second factor.
    """
    if notice in {"email_changed", "second_factor_on"}:
        return "If this was not you, contact the operator of this service at once."
    return _SECURITY_ADVICE
