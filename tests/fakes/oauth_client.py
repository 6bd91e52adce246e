"""An OAuth client that asks a user for access to `/mcp`, and the page in which the user consents."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.support.api_gateway import Answer, Function, Person

ISSUER = "https://api.example.com/prod"
CALLBACK = "http://127.0.0.1:33418/callback"


@dataclass
class OAuthApp:
    """A registered client with a fresh verifier. Each method sends one request; `changes` replace parameters, None removes one."""

    auth: Function
    client_id: str
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @classmethod
    def registered(cls, auth: Function, *, name: str = "Editor", redirect_uri: str = CALLBACK) -> Self:
        answer = auth.post("/oauth/register", {"client_name": name, "redirect_uris": [redirect_uri]})
        assert answer.status == 201, answer.body
        return cls(auth, answer.json["client_id"], redirect_uri)

    def query(self, **changes: str | None) -> str:
        """Return the query with which the client opens the page."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")
        asked = {"response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect_uri, "state": "s/1"}
        asked |= {"code_challenge": challenge, "code_challenge_method": "S256", "resource": f"{ISSUER}/mcp", "scope": "mcp:tools"}
        return urlencode(_changed(asked, changes))

    def consent(self, person: Person, *, approve: bool = True, **changes: str | None) -> Answer:
        """Let the user answer the client's request."""
        return self.auth.post("/auth/authorizations", {"query": self.query(**changes), "approve": approve}, as_=person)

    def code(self, person: Person, **changes: str | None) -> str:
        """Return the code of a request that the user approved."""
        answer = self.consent(person, **changes)
        assert answer.status == 200, answer.body
        return parameters_of(answer.json["redirect_to"])["code"]

    def exchange(self, code: str, /, **changes: str | None) -> Answer:
        """Exchange a code."""
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": self.redirect_uri, "client_id": self.client_id}
        sent |= {"code_verifier": self.verifier, "resource": f"{ISSUER}/mcp"}
        return self.post("/oauth/token", _changed(sent, changes))

    def refresh(self, token: str, /, **changes: str | None) -> Answer:
        """Exchange a refresh token."""
        sent = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client_id}
        return self.post("/oauth/token", _changed(sent, changes))

    def tokens(self, person: Person, **changes: str | None) -> dict[str, Any]:
        """Return the tokens of a client that the user has connected."""
        answer = self.exchange(self.code(person, **changes))
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    def post(self, path: str, form: dict[str, str]) -> Answer:
        """Send a form."""
        return self.auth.post(path, urlencode(form), headers={"Content-Type": "application/x-www-form-urlencoded"})


def holder_of(token: str, person: Person) -> Person:
    """Return the user as the authorizer describes the holder of a client's access token."""
    return Person.of(person.email, {"access_token": token.removeprefix("pmt_")})


def parameters_of(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query))


def _changed(parameters: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**parameters, **changes}.items() if value is not None}
