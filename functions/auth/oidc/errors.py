"""Errors of logins by OpenID Connect. A browser reads their codes in the address of the page."""

from parley.errors import Forbidden, ParleyError, Unavailable


class LoginExpired(ParleyError):
    """The login is unknown, used, expired, or was started in another browser."""

    status, code = 400, "oidc_login_expired"
    public_message = "This sign-in has expired, or was started in another browser. Sign in again."


class IssuerRefused(Forbidden):
    """The issuer refused the login, or the user cancelled it."""

    code = "oidc_refused"
    public_message = "The sign-in was cancelled or refused by your organization."


class IssuerAnswerInvalid(Forbidden):
    """The issuer's answer, its keys or its token break a rule of OpenID Connect."""

    code = "oidc_invalid"
    public_message = "Your organization's answer is not valid. Sign in again, or ask an admin."


class IssuerUnavailable(Unavailable):
    """The issuer cannot be reached."""

    code = "oidc_unavailable"
    public_message = "Your organization's sign-in cannot be reached. Try again shortly."


class EmailUnverified(Forbidden):
    """The issuer names no address that it has verified, and the identity has no account yet."""

    code = "oidc_email_unverified"
    public_message = "Your organization does not confirm your e-mail address. Ask an admin."


class AccountExists(ParleyError):
    """An account has the address, but its owner has never proven it to this deployment."""

    status, code = 409, "oidc_account_exists"
    public_message = 'An account has your address, but never confirmed it. Confirm it by "Forgot your password?", then sign in again.'


class GroupMissing(Forbidden):
    """The user is in none of the groups that may sign in."""

    code = "oidc_group_missing"
    public_message = "Your organization gives your account no access. Ask an admin."


class LoginTooWeak(Forbidden):
    """The issuer does not say that the login was as strong as this deployment demands."""

    code = "oidc_login_too_weak"
    public_message = (
        "This server needs a stronger sign-in, such as by a second factor. Add one at your organization, sign out there, then try again."
    )


class AccountDisabled(Forbidden):
    """An admin disabled the account."""

    code = "account_disabled"
    public_message = "Your account is disabled. Ask an admin."


class PasswordLoginOff(Forbidden):
    """This deployment accepts logins by an issuer only."""

    code = "password_login_off"
    public_message = "This server has no passwords. Sign in with your organization's account."


class LogoutTokenInvalid(ParleyError):
    """The logout token breaks a rule of OpenID Connect Back-Channel Logout, or was used before."""

    status, code = 400, "invalid_logout_token"
    public_message = "The logout token is not valid, or was used before."
