"""Issuers of OpenID Connect: the requests that this server sends to them.

An issuer is trusted to say who its users are, and no more. Its addresses come from its discovery document, which must name the
configured issuer, and are fetched by the guarded client: only the issuer's own host may have a private address.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from functions.auth.oidc.configuration import OidcIssuer, is_secure
from functions.auth.oidc.errors import IssuerAnswerInvalid, IssuerUnavailable
from functions.auth.oidc.id_tokens import Algorithm, VerificationKey, usable_keys
from parley.aws.secrets import SecretUnreadable, read_secret
from parley.errors import NotFound
from parley.observability import logger
from parley.tools.guarded_http.client import FetchResult, GuardedHttp
from parley.tools.guarded_http.errors import FetchFailed

TIMEOUT_S = 5.0
METADATA_LIFETIME_S = 3600.0
KEYS_LIFETIME_S = 600.0
SECRET_LIFETIME_S = 300.0
# An unknown `kid` fetches the keys again, at most this often: anybody can invent one.
KEYS_REFETCH_S = 30.0
_SECRET = "secret:"  # noqa: S105 - the prefix of a reference


@dataclass(frozen=True, slots=True)
class IssuerMetadata:
    """The parts of an issuer's discovery document that this server uses."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    names_itself: bool
    accepts_basic: bool

    @classmethod
    def of(cls, document: Any, issuer: str) -> "IssuerMetadata":
        """Read a discovery document. Raises IssuerAnswerInvalid if it is another issuer's, or lacks a secure address."""
        if not isinstance(document, dict) or document.get("issuer") != issuer:
            raise IssuerAnswerInvalid("the discovery document is not this issuer's")
        methods = document.get("token_endpoint_auth_methods_supported")
        logout = document.get("end_session_endpoint")
        return cls(
            authorization_endpoint=_address(document, "authorization_endpoint"),
            token_endpoint=_address(document, "token_endpoint"),
            jwks_uri=_address(document, "jwks_uri"),
            userinfo_endpoint=_address(document, "userinfo_endpoint") if "userinfo_endpoint" in document else None,
            # Without it, users log in all the same.
            end_session_endpoint=logout if isinstance(logout, str) and is_secure(logout) else None,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
            accepts_basic=not isinstance(methods, list) or "client_secret_basic" in methods,
        )


def _address(document: Mapping[str, Any], name: str) -> str:
    address = document.get(name)
    if not isinstance(address, str) or not is_secure(address):
        raise IssuerAnswerInvalid(f"the discovery document has no secure {name}")
    return address


@dataclass(frozen=True, slots=True)
class IssuerLogout:
    """The issuer's name for the page, and the address at which the user logs out there too."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """The tokens of an exchanged code."""

    id_token: str
    access_token: str | None


class IssuerClient:
    """Sends requests to one issuer, and caches its metadata, its keys and the client's secret."""

    def __init__(self, issuer: OidcIssuer, http: GuardedHttp, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self.issuer = issuer
        self._http, self._now_s = http, now_s
        self._metadata: tuple[float, IssuerMetadata] | None = None
        self._keys: tuple[float, list[VerificationKey]] | None = None
        self._secret: tuple[float, str] | None = None

    def metadata(self) -> IssuerMetadata:
        """Return the issuer's metadata. Raises IssuerUnavailable and IssuerAnswerInvalid."""
        if self._metadata is None or self._now_s() >= self._metadata[0]:
            url = f"{self.issuer.issuer.removesuffix('/')}/.well-known/openid-configuration"
            self._metadata = self._now_s() + METADATA_LIFETIME_S, IssuerMetadata.of(self._get(url), self.issuer.issuer)
        return self._metadata[1]

    def find_key(self, kid: str | None, algorithm: Algorithm) -> VerificationKey | None:
        """Return the key with this `kid`, or the only key for the algorithm if the token names none; None if there is no such key.

        Raises IssuerUnavailable and IssuerAnswerInvalid.
        """
        fetched_s, keys = self._keys or (float("-inf"), [])
        age_s = self._now_s() - fetched_s
        found = _matching(keys, kid, algorithm)
        if age_s >= KEYS_LIFETIME_S or (found is None and age_s >= KEYS_REFETCH_S):
            keys = usable_keys(self._get(self.metadata().jwks_uri))
            self._keys = self._now_s(), keys
            found = _matching(keys, kid, algorithm)
        return found

    def authorization_url(self, **parameters: str) -> str:
        """Return the address at which the user logs in."""
        asked = {"response_type": "code", "client_id": self.issuer.client_id, "scope": " ".join(self.issuer.scopes)}
        if self.issuer.acr_values:
            asked["acr_values"] = " ".join(self.issuer.acr_values)
        return _with_query(self.metadata().authorization_endpoint, asked | parameters)

    def logout(self) -> IssuerLogout | None:
        """Return where the user logs out (OpenID Connect RP-Initiated Logout 1.0, 2), or None if the issuer has no such address.

        There is no `id_token_hint`: no ID token is kept, and `client_id` is enough. Raises IssuerUnavailable and IssuerAnswerInvalid.
        """
        endpoint, returns_to = self.metadata().end_session_endpoint, self.issuer.post_logout_redirect_uri
        if endpoint is None:
            return None
        asked = {"client_id": self.issuer.client_id}
        if returns_to is not None:
            asked |= {"post_logout_redirect_uri": returns_to, "state": secrets.token_urlsafe(16)}
        return IssuerLogout(self.issuer.label, _with_query(endpoint, asked))

    def exchange(self, code: str, *, code_verifier: str, redirect_uri: str) -> TokenAnswer:
        """Exchange a code for tokens. Raises IssuerUnavailable and IssuerAnswerInvalid."""
        metadata = self.metadata()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": code_verifier}
        headers: dict[str, str] = {"Accept": "application/json"}
        secret = self._client_secret()
        if secret is not None and metadata.accepts_basic:
            headers["Authorization"] = _basic(self.issuer.client_id, secret)
        else:
            form |= {"client_id": self.issuer.client_id} | ({"client_secret": secret} if secret is not None else {})
        document = self._json(lambda: self._http.post_form(metadata.token_endpoint, form, headers=headers, timeout_s=TIMEOUT_S))
        if not isinstance(document, dict) or not isinstance(document.get("id_token"), str):
            raise IssuerAnswerInvalid("the token endpoint returned no ID token")
        access_token = document.get("access_token")
        return TokenAnswer(document["id_token"], access_token if isinstance(access_token, str) else None)

    def userinfo(self, access_token: str, *, subject: str) -> Mapping[str, Any]:
        """Return the claims of the userinfo endpoint, if there is one. Raises IssuerUnavailable and IssuerAnswerInvalid."""
        url = self.metadata().userinfo_endpoint
        if url is None:
            return {}
        document = self._get(url, {"Authorization": f"Bearer {access_token}"})
        if not isinstance(document, dict) or document.get("sub") != subject:
            raise IssuerAnswerInvalid("userinfo describes somebody else")
        return document

    def _client_secret(self) -> str | None:
        reference = self.issuer.client_secret
        if reference is None or not reference.startswith(_SECRET):
            return reference
        if self._secret is None or self._now_s() >= self._secret[0]:
            try:
                self._secret = self._now_s() + SECRET_LIFETIME_S, read_secret(reference.removeprefix(_SECRET))
            except SecretUnreadable as exc:
                raise IssuerUnavailable(f"the client secret of {self.issuer.id}") from exc
        return self._secret[1]

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> Any:
        return self._json(lambda: self._http.get(url, headers=headers, timeout_s=TIMEOUT_S, max_bytes=1_000_000, max_redirects=0))

    def _json(self, fetch: Callable[[], FetchResult]) -> Any:
        try:
            answer = fetch()
        except FetchFailed as exc:
            raise IssuerUnavailable(f"issuer {self.issuer.id}: {exc}") from exc
        if answer.status >= 500:
            raise IssuerUnavailable(f"issuer {self.issuer.id} responded {answer.status}")
        if answer.status != 200:
            raise IssuerAnswerInvalid(f"issuer {self.issuer.id} responded {answer.status}")
        try:
            return answer.json()
        except FetchFailed as exc:
            raise IssuerAnswerInvalid(f"issuer {self.issuer.id} sent no JSON") from exc


class IssuerDirectory:
    """The configured issuers."""

    def __init__(self, issuers: tuple[OidcIssuer, ...]) -> None:
        http = GuardedHttp([issuer.host for issuer in issuers])
        self.clients = {issuer.id: IssuerClient(issuer, http) for issuer in issuers}

    def find(self, id: str) -> IssuerClient:
        """Return the client of the issuer with this id. Raises NotFound."""
        if id not in self.clients:
            raise NotFound("issuer", id)
        return self.clients[id]

    def logout_of(self, issuer: str) -> IssuerLogout | None:
        """Return where users log out of the issuer with this address, or None if it has no such page or cannot be asked."""
        client = next((client for client in self.clients.values() if client.issuer.issuer == issuer), None)
        try:
            return client.logout() if client else None
        except (IssuerUnavailable, IssuerAnswerInvalid) as exc:
            logger.warning("issuer_logout_unknown", issuer=issuer, reason=str(exc))
            return None


def _matching(keys: list[VerificationKey], kid: str | None, algorithm: Algorithm) -> VerificationKey | None:
    fitting = [key for key in keys if key.fits(algorithm)]
    if kid is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.kid == kid), None)


def _with_query(address: str, parameters: Mapping[str, str]) -> str:
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(parameters)}"


def _basic(client_id: str, secret: str) -> str:
    """Return the credentials of HTTP Basic, whose parts OAuth encodes as a form does (RFC 6749, 2.3.1)."""
    import base64

    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
