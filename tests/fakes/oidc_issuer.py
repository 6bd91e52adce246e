"""An issuer of OpenID Connect that signs in one person, and the browser that goes there and back. The issuer lies as told."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm

from functions.auth.oidc.configuration import OidcIssuer
from functions.auth.oidc.id_tokens import LOGOUT_EVENT
from functions.auth.oidc.issuers import IssuerDirectory
from tests.fakes.http_server import serving
from tests.support.api_gateway import Answer, Function

COOKIE = "__Host-parley-login"
CLIENT_ID, SECRET = "parley", "a secret: of/the client"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return a key that is made once a run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class FakeIssuer:
    """What the issuer serves and how it signs. Tests replace parts of it.

    `change` edits a token's claims before it is signed, `forge` the signed token.
    """

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    change: Callable[[dict[str, Any]], dict[str, Any]] = dict
    forge: Callable[[str], str] = str
    headers: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: rsa_key("first"))
    algorithm: str = "RS256"
    kid: str = "k1"
    auth_method: str = "client_secret_basic"
    published: dict[str, Any] = field(default_factory=lambda: {"k1": rsa_key("first")})
    status: int = 200
    userinfo: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        found = {"issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token"}
        found |= {"jwks_uri": f"{self.url}/keys", "userinfo_endpoint": f"{self.url}/userinfo"} | self.metadata
        return {name: value for name, value in found.items() if value is not None}

    def keys(self) -> dict[str, Any]:
        public = {kid: RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) for kid, key in self.published.items()}
        return {"keys": [jwk | {"kid": kid, "use": "sig"} for kid, jwk in public.items()]}

    def sign(self, claims: dict[str, Any], *, typ: str = "JWT") -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300} | claims
        headers = ({"kid": self.kid} if self.kid else {}) | {"typ": typ} | self.headers
        return self.forge(jwt.encode(self.change(claims), self.key, algorithm=self.algorithm, headers=headers))

    def logout_token(self, *, typ: str = "logout+jwt", **claims: Any) -> str:
        return self.sign({"jti": secrets.token_hex(8), "events": {LOGOUT_EVENT: {}}} | claims, typ=typ)

    def tokens(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Return the tokens of a code, or None if the request is not the client's own."""
        challenge = _encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        known = base64.b64encode(f"{CLIENT_ID}:{'a%20secret%3A%20of%2Fthe%20client'}".encode()).decode()
        is_own = (challenge, form["redirect_uri"]) == (self.asked["code_challenge"], self.asked["redirect_uri"])
        in_form = (form.get("client_id"), form.get("client_secret"), authorization)
        proofs = {"client_secret_post": in_form == (CLIENT_ID, SECRET, ""), "none": in_form == (CLIENT_ID, None, "")}
        proofs["client_secret_basic"] = in_form == (None, None, f"Basic {known}")
        if form["code"] != "the code" or not is_own or not proofs[self.auth_method]:
            return None
        access_token = "an access token"
        at_hash = _encoded(hashlib.sha256(access_token.encode()).digest()[:16])
        id_token = self.sign({"nonce": self.asked["nonce"], "at_hash": at_hash} | self.person)
        return {"id_token": id_token, "access_token": access_token, "token_type": "Bearer"}


@contextmanager
def serving_issuer(issuer: FakeIssuer) -> Iterator[FakeIssuer]:
    """Serve the issuer until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.fetched.append(self.path)
            address = urlsplit(self.path)
            if address.path == "/authorize":
                self._authorize(dict(parse_qsl(address.query)))
                return
            documents = {"/.well-known/openid-configuration": issuer.document, "/keys": issuer.keys, "/userinfo": lambda: issuer.userinfo}
            documents |= {"/end": lambda: {"signed": "out"}}
            self._send(documents[address.path]())

        def do_POST(self) -> None:
            issuer.fetched.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            tokens = issuer.tokens(dict(parse_qsl(body)), self.headers.get("Authorization", ""))
            self._send(tokens or {"error": "invalid_grant"}, status=200 if tokens else 400)

        def _authorize(self, asked: dict[str, str]) -> None:
            """Sign the person in without a question, as an issuer does whose session goes on."""
            issuer.asked = asked
            answer = urlencode({"code": "the code", "state": asked["state"], "iss": issuer.url})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, document: Any, *, status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(status if issuer.status == 200 else issuer.status)
            self.send_header("Location", f"{issuer.url}/keys")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        issuer.url = url
        yield issuer


@dataclass
class Browser:
    """A browser that signs its user in. `cookie` is the value that binds a login to it."""

    auth: Function
    issuer: FakeIssuer
    id: str = "corp"
    cookie: str = ""

    def start(self, **program: str) -> str:
        """Open the login's first address, and return where the browser goes next."""
        query = f"?{urlencode(program)}" if program else ""
        answer = self.auth.get(f"/auth/oidc/{self.id}/start{query}", headers=self._headers())
        assert answer.status == 303, answer.body
        if "set-cookie" in answer.headers:
            self.cookie = SimpleCookie(answer.headers["set-cookie"])[COOKIE].value
        self.issuer.asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
        return answer.headers["location"]

    def finish(self, **changes: str | None) -> Answer:
        """Bring the issuer's answer back; `changes` replace its parameters, None removes one."""
        sent = {"code": "the code", "state": self.issuer.asked["state"], "iss": self.issuer.url} | changes
        query = urlencode({name: value for name, value in sent.items() if value is not None})
        return self.auth.get(f"/auth/oidc/{self.id}/callback?{query}", headers=self._headers())

    def sign_in(self, **changes: str | None) -> Answer:
        """Begin and finish a login."""
        self.start()
        return self.finish(**changes)

    def _headers(self) -> dict[str, str]:
        return {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}


def error_of(answer: Answer) -> str:
    """Return the code with which the browser was sent back to the page, or an empty text after a login."""
    assert answer.status == 303, answer.body
    return answer.headers["location"].partition("#/sign-in/")[2]


def directory_of(*issuers: FakeIssuer, **options: Any) -> IssuerDirectory:
    """Return a directory of these issuers, named `corp`, `other` and so on."""
    names, options = ("corp", "other"), {"client_secret": SECRET} | options
    configured = [
        OidcIssuer(id=name, label=name.title(), issuer=issuer.url, client_id=CLIENT_ID, **options)
        for name, issuer in zip(names, issuers, strict=False)
    ]
    return IssuerDirectory(tuple(configured))


def person(**claims: Any) -> dict[str, Any]:
    """Return the claims of somebody new."""
    unique = secrets.token_hex(8)
    return {"sub": unique, "sid": f"s{unique}", "email": f"{unique}@example.com", "email_verified": True, "name": "Ada"} | claims


def refresh_token_of(answer: Answer) -> str:
    """Return the refresh token that the page receives by its cookie."""
    return SimpleCookie(answer.headers["set-cookie"])["__Secure-parley-refresh"].value


def unsigned(token: str) -> str:
    """Return the token without a signature, declared as such."""
    return f"{_encoded(b'{"alg":"none","kid":"k1"}')}.{token.split('.')[1]}."


def signed_by_the_public_key(token: str) -> str:
    """Return the token with an HMAC, whose secret is the issuer's public key."""
    pem = rsa_key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{_encoded(b'{"alg":"HS256","kid":"k1"}')}.{token.split('.')[1]}"
    return f"{text}.{_encoded(hmac.digest(pem, text.encode(), 'sha256'))}"


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
