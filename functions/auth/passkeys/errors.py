"""Errors of passkeys."""

from uuid import UUID

from parley.errors import Forbidden, ParleyError


class PasskeysOff(Forbidden):
    """This deployment has no relying party, or accepts logins by an issuer only."""

    code = "passkeys_off"
    public_message = "This server accepts no passkeys."


class InvalidPasskey(ParleyError):
    """The browser's answer breaks a rule of WebAuthn, is for another challenge or site, or its passkey is unknown."""

    status, code = 403, "invalid_passkey"
    public_message = "This passkey was not accepted. Try again, or sign in another way."


class UnknownPasskey(InvalidPasskey):
    """The account has no passkey with this credential, or there is no such account. The response does not say which."""


class ClonedPasskey(InvalidPasskey):
    """The count of signatures did not grow: another authenticator has used a copy of the passkey (WebAuthn, 6.1.1)."""

    def __init__(self, passkey_id: UUID) -> None:
        super().__init__(f"the count of {passkey_id} did not grow")
        self.passkey_id = passkey_id


class NoPasskey(ParleyError):
    """The account has no passkey that could be the second step of its login."""

    status, code = 409, "no_passkey"
    public_message = "Your account has no passkey. Enter a code instead."


class PasskeyKnown(ParleyError):
    """The account has this passkey already."""

    status, code = 409, "passkey_known"
    public_message = "Your account has this passkey already."


class TooManyPasskeys(ParleyError):
    """The user has reached the limit of passkeys."""

    status, code = 409, "too_many_passkeys"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} passkeys")
        self.public_message = f"You have {limit} passkeys, which is the limit. Remove one first."
