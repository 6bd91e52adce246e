"""A login by OpenID Connect: Authorization Code Flow with PKCE, `state` and `nonce` (OpenID Connect Core 3.1, RFC 9700).

The state of a login is one row, used once, for ten minutes, in the browser that began it. A page's login ends with the refresh
cookie. A program's login ends at the program's loopback address (RFC 8252) with a code, which its own PKCE verifier redeems.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from functions.auth.login_throttle import count_attempt
from functions.auth.oauth.authorization import is_challenge, parse_parameters
from functions.auth.oauth.clients import is_loopback
from functions.auth.oauth.errors import OAuthError
from functions.auth.oidc.accounts import Identity, account_of, end_sessions
from functions.auth.oidc.configuration import OidcIssuer
from functions.auth.oidc.errors import AccountDisabled, IssuerAnswerInvalid, IssuerRefused, LoginExpired, LoginTooWeak, LogoutTokenInvalid
from functions.auth.oidc.id_tokens import TokenRules, verify_id_token, verify_logout_token
from functions.auth.oidc.issuers import IssuerClient
from functions.auth.services import AuthServices
from functions.auth.sessions import IssuedTokens, RefreshToken, issue_tokens
from parley.auth.client_origin import ClientOrigin
from parley.auth.one_time_codes import InvalidCode, OneTimeCode
from parley.auth.signing_keys import KeyRing
from parley.clock import utc_now
from parley.db.accounts import authorization_codes, oidc
from parley.db.accounts.oidc import LoginCode, OidcLogin, OidcSession
from parley.db.accounts.users import User
from parley.db.engine import Connection
from parley.db.transactions import global_scope, user_scope
from parley.errors import InvalidInput, ParleyError
from parley.ids import new_id
from parley.observability import logger

LOGIN_LIFETIME = timedelta(minutes=10)
CODE_LIFETIME = timedelta(seconds=60)
MAX_VERIFIER = 128


@dataclass(frozen=True, slots=True)
class Program:
    """A program that logs its user in: the loopback address at which it waits, and the challenge of its verifier."""

    redirect_uri: str
    code_challenge: str

    @classmethod
    def of(cls, redirect_uri: str | None, code_challenge: str | None) -> "Program | None":
        """Return the program, or None for the page's login. Raises InvalidInput."""
        if redirect_uri is None and code_challenge is None:
            return None
        if redirect_uri is None or not is_loopback(redirect_uri):
            raise InvalidInput("must be an http address on 127.0.0.1", loc=("query", "redirect_uri"))
        if code_challenge is None or not is_challenge(code_challenge):
            raise InvalidInput("must be a challenge of the method S256", loc=("query", "code_challenge"))
        return cls(redirect_uri, code_challenge)


@dataclass(frozen=True, slots=True)
class Site:
    """This API's address as the browser knows it, and the path of its page."""

    public_url: str
    home: str

    def callback(self, id: str) -> str:
        """Return the address to which an issuer sends its answers. Each issuer has its own (RFC 9700, 4.4.2)."""
        return f"{self.public_url}/auth/oidc/{id}/callback"


@dataclass(frozen=True, slots=True)
class BrowserStep:
    """Where the browser goes next. `browser` is the value that binds the login to it; `tokens` are those of a page's new session."""

    location: str
    browser: str | None = field(default=None, repr=False)
    tokens: IssuedTokens | None = field(default=None, repr=False)


def start(
    services: AuthServices, id: str, program: Program | None, *, browser: str | None, site: Site, origin: ClientOrigin
) -> BrowserStep:
    """Store a login and send the browser to the issuer, or back with an error's code. Raises NotFound."""
    client = services.issuers.find(id)
    browser = browser or _random()
    state, nonce, verifier = _random(), _random(), _random()
    login = OidcLogin(
        state_hash=_digest(state),
        issuer=client.issuer.id,
        nonce=nonce,
        code_verifier=verifier,
        browser_hash=_digest(browser),
        redirect_uri=program.redirect_uri if program else None,
        code_challenge=program.code_challenge if program else None,
        expires_at=utc_now() + LOGIN_LIFETIME,
    )
    try:
        count_attempt(services.background, services.throttle.issuer_buckets(origin))
        location = client.authorization_url(
            redirect_uri=site.callback(id),
            state=state,
            nonce=nonce,
            code_challenge=_challenge(verifier),
            code_challenge_method="S256",
        )
        with global_scope(services.background) as connection:
            oidc.add_login(connection, login)
    except ParleyError as error:
        return _back(error, login.redirect_uri, site.home)
    return BrowserStep(location, browser=browser)


def finish(services: AuthServices, id: str, query: str, *, browser: str | None, site: Site, origin: ClientOrigin) -> BrowserStep:
    """Check the issuer's answer and start a session, or send the browser back with an error's code. Raises NotFound."""
    client = services.issuers.find(id)
    redirect_uri = None
    try:
        answer = _parameters(query)
        login = _take(services, answer.get("state", ""), browser)
        redirect_uri = login.redirect_uri
        _check_issuer(client, login, answer)
        identity = _identity(client, login, answer, redirect_uri=site.callback(id))
        user_id = account_of(services, client.issuer, identity, origin=origin)
        if login.redirect_uri is None or login.code_challenge is None:
            return BrowserStep(site.home, tokens=_start_session(services, client, identity, user_id, origin))
        code = _start_program(services, client, identity, user_id, Program(login.redirect_uri, login.code_challenge), origin)
        return BrowserStep(_with(login.redirect_uri, code=code))
    except ParleyError as error:
        return _back(error, redirect_uri, site.home)


def redeem(services: AuthServices, *, code: str, code_verifier: str) -> IssuedTokens:
    """Exchange a program's code for the tokens of its session. Raises InvalidCode."""
    parsed = OneTimeCode.parse(code)
    key_ring = services.key_ring()
    token = RefreshToken.new(parsed.owner_id)
    with user_scope(services.engine, parsed.owner_id) as connection:
        stored = authorization_codes.lock(connection, parsed.hash, user_id=parsed.owner_id)
        is_own = stored is not None and hmac.compare_digest(_challenge(code_verifier).encode(), stored.code_challenge.encode())
        # A client of `/mcp` exchanges its codes at `/oauth/token`.
        if stored is None or not is_own or stored.client_id is not None or stored.used_at or stored.expires_at <= utc_now():
            raise InvalidCode("the login's code is unknown, used, expired, or another program's")
        user = authorization_codes.redeem(
            connection,
            parsed.hash,
            stored.session_id,
            user_id=parsed.owner_id,
            token_hash=token.hash,
            expires_at=utc_now() + services.lifetimes.absolute,
        )
        if user is None:
            raise InvalidCode("the login's session has ended")
    return _strong_tokens(services, user, stored.session_id, token, key_ring)


def log_out(services: AuthServices, id: str, form: str) -> None:
    """End the sessions that the issuer's logout token names (OpenID Connect Back-Channel Logout 2.5).

    Raises NotFound, LogoutTokenInvalid and IssuerUnavailable.
    """
    client = services.issuers.find(id)
    try:
        verified = verify_logout_token(_parameters(form).get("logout_token", ""), _rules(client))
    except IssuerAnswerInvalid as exc:
        raise LogoutTokenInvalid(str(exc)) from exc
    count = end_sessions(services, client.issuer, verified)
    logger.info("issuer_ended_sessions", issuer=id, sessions=count)


def _parameters(query: str) -> dict[str, str]:
    try:
        return parse_parameters(query)
    except OAuthError as exc:
        raise IssuerAnswerInvalid(f"the answer cannot be read: {exc}") from exc


def _take(services: AuthServices, state: str, browser: str | None) -> OidcLogin:
    """Use up the login of this state. Raises LoginExpired."""
    with global_scope(services.background) as connection:
        login = oidc.take_login(connection, _digest(state))
    if login is None or login.expires_at <= utc_now():
        raise LoginExpired("no login has this state")
    # A stranger's link with a stranger's answer would log this browser in as the stranger.
    if not hmac.compare_digest(_digest(browser or ""), login.browser_hash):
        raise LoginExpired("another browser began this login")
    return login


def _check_issuer(client: IssuerClient, login: OidcLogin, answer: dict[str, str]) -> None:
    """Refuse the answer of another issuer (RFC 9207), and an error."""
    if login.issuer != client.issuer.id:
        raise IssuerAnswerInvalid(f"the login began at {login.issuer}, and {client.issuer.id} answers")
    named = answer.get("iss")
    if named != client.issuer.issuer and (named is not None or client.metadata().names_itself):
        raise IssuerAnswerInvalid("the answer names another issuer, or none")
    if "error" in answer:
        raise IssuerRefused(f"{client.issuer.id} answered with an error")


def _identity(client: IssuerClient, login: OidcLogin, answer: dict[str, str], *, redirect_uri: str) -> Identity:
    if "code" not in answer:
        raise IssuerAnswerInvalid("the answer has no code")
    tokens = client.exchange(answer["code"], code_verifier=login.code_verifier, redirect_uri=redirect_uri)
    claims = verify_id_token(tokens.id_token, _rules(client), nonce=login.nonce, access_token=tokens.access_token)
    _check_strength(client.issuer, claims)
    if "email" not in claims and tokens.access_token is not None:
        # Some issuers send a short ID token.
        claims = {**client.userinfo(tokens.access_token, subject=claims["sub"]), **claims}
    return Identity.of(claims, client.issuer)


def _check_strength(issuer: OidcIssuer, claims: Mapping[str, Any]) -> None:
    """Refuse a login whose class or methods are not among those that the operator demands. A missing claim says that it was weak."""
    methods = claims.get("amr")
    if issuer.acr_values and claims.get("acr") not in issuer.acr_values:
        raise LoginTooWeak(f"acr of a login at {issuer.id} is none of acr_values")
    if issuer.amr_values and not (isinstance(methods, list) and any(method in issuer.amr_values for method in methods)):
        raise LoginTooWeak(f"amr of a login at {issuer.id} has none of amr_values")


def _rules(client: IssuerClient) -> TokenRules:
    return TokenRules(client.issuer.issuer, client.issuer.client_id, client.find_key)


def _start_session(services: AuthServices, client: IssuerClient, identity: Identity, user_id: UUID, origin: ClientOrigin) -> IssuedTokens:
    key_ring, token = services.key_ring(), RefreshToken.new(user_id)
    session = OidcSession(new_id(), client.issuer.issuer, identity.issuer_session, utc_now() + services.lifetimes.absolute)
    with user_scope(services.engine, user_id) as connection:
        _lock_identity(connection, client, identity, user_id)
        user = oidc.start_session(connection, user_id, session, token_hash=token.hash, origin=origin)
    if user is None:
        raise AccountDisabled(str(user_id))
    return _strong_tokens(services, user, session.id, token, key_ring)


def _strong_tokens(services: AuthServices, user: User, session_id: UUID, token: RefreshToken, key_ring: KeyRing) -> IssuedTokens:
    """Return the tokens of a session that began at an issuer, which has a second factor of its own."""
    return issue_tokens(user, session_id, token, key_ring, scopes=services.lifetimes.scopes_of(user.role, has_second_factor=True))


def _start_program(
    services: AuthServices, client: IssuerClient, identity: Identity, user_id: UUID, program: Program, origin: ClientOrigin
) -> str:
    """Store a session that lives a minute, and return the code that extends it."""
    code, expires_at = OneTimeCode.new(user_id), utc_now() + CODE_LIFETIME
    session = OidcSession(new_id(), client.issuer.issuer, identity.issuer_session, expires_at)
    stored = LoginCode(code.hash, program.redirect_uri, program.code_challenge, expires_at)
    with user_scope(services.engine, user_id) as connection:
        _lock_identity(connection, client, identity, user_id)
        user = oidc.start_session_by_code(connection, user_id, session, stored, origin=origin)
    if user is None:
        raise AccountDisabled(str(user_id))
    return str(code)


def _lock_identity(connection: Connection, client: IssuerClient, identity: Identity, user_id: UUID) -> None:
    """Lock the identity until the transaction ends. A removal or an issuer's logout waits, and then ends the new session too.

    Raises LoginExpired.
    """
    if identity.issuer_session is not None:
        oidc.lock_issuer_session(connection, issuer=client.issuer.issuer, issuer_session=identity.issuer_session)
    if not oidc.lock_identity(connection, user_id=user_id, issuer=client.issuer.issuer, subject=identity.subject):
        raise LoginExpired(f"the identity of {user_id} was removed meanwhile")


def _back(error: ParleyError, redirect_uri: str | None, home: str) -> BrowserStep:
    """Send the browser back to the program, or to the page's sign-in screen, which explains the code."""
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("oidc_login_failed", problem=error.code, reason=str(error))
    else:
        logger.info("oidc_login_refused", problem=error.code, reason=str(error))
    return BrowserStep(_with(redirect_uri, error=error.code) if redirect_uri else f"{home}#/sign-in/{error.code}")


def _with(redirect_uri: str, **parameters: str) -> str:
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(parameters)}"


def _random() -> str:
    return secrets.token_urlsafe(32)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(_digest(verifier)).rstrip(b"=").decode()
