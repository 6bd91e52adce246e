"""Valid and forged access tokens and API keys."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_decode, base64url_encode

from parley.auth.access_tokens import issue_token
from parley.auth.api_keys import PREFIX, issue_api_key
from parley.auth.client_tokens import issue_client_token
from parley.auth.principal import API_KEY_SCOPES, MCP_SCOPES, USER_SCOPES
from parley.auth.public_keys import parse_jwks
from parley.auth.signing_keys import KeyRing, SigningKey
from parley.clock import utc_now

ISSUER = "parley/test/prod"
ACCESS_SIGNING_KEY = SigningKey.generate(now=utc_now() - timedelta(days=1))
API_SIGNING_KEY = SigningKey.generate(now=utc_now() - timedelta(days=1), family="api")
KEY_RING = KeyRing.of([ACCESS_SIGNING_KEY, API_SIGNING_KEY], refresh_secret=b"", issuer=ISSUER)
PUBLIC_KEYS = parse_jwks(KEY_RING.jwks())


def make_access_token(
    scopes: frozenset[str] = USER_SCOPES, *, key: SigningKey = ACCESS_SIGNING_KEY, issuer: str = ISSUER, now: datetime | None = None
) -> str:
    """Return a valid access token of a random user."""
    return issue_token(uuid4(), uuid4(), scopes, key=key, issuer=issuer, now=now or utc_now())


def make_client_token(scopes: frozenset[str] = MCP_SCOPES, *, now: datetime | None = None) -> str:
    """Return a valid access token of an MCP client, of a random user."""
    return issue_client_token(uuid4(), uuid4(), scopes, key=ACCESS_SIGNING_KEY, issuer=ISSUER, now=now or utc_now())


def make_api_key(
    scopes: frozenset[str] = API_KEY_SCOPES,
    *,
    key: SigningKey = API_SIGNING_KEY,
    issuer: str = ISSUER,
    now: datetime | None = None,
    lifetime: timedelta = timedelta(days=30),
    user_id: UUID | None = None,
) -> str:
    """Return a valid API key, of a random user unless `user_id` is given."""
    now = now or utc_now()
    return issue_api_key(user_id or uuid4(), uuid4(), scopes, expires_at=now + lifetime, key=key, issuer=issuer, now=now)


def signer(key: SigningKey) -> Callable[[bytes], bytes]:
    """Return a function that signs bytes with ES256."""
    return lambda data: ECAlgorithm(ECAlgorithm.SHA256).sign(data, key.private_key)


def assemble(header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes, sign: Callable[[bytes], bytes]) -> str:
    """Assemble a token from a header and payload without any checks."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    signing_input = b".".join(base64url_encode(part) for part in parts)
    return (signing_input + b"." + base64url_encode(sign(signing_input))).decode()


def forge(token: str, *, claims: Mapping[str, Any] | None = None, sign: Callable[[bytes], bytes] | None = None, **header: Any) -> str:
    """Change the claims and header of a valid token, and sign it again. A value of None removes its claim or header field."""
    prefix = PREFIX if token.startswith(PREFIX) else ""
    valid_header, valid_claims = (json.loads(base64url_decode(part)) for part in token.removeprefix(prefix).split(".")[:2])
    sign = sign or signer(API_SIGNING_KEY if prefix else ACCESS_SIGNING_KEY)
    return prefix + assemble(_merge(valid_header, header), _merge(valid_claims, claims or {}), sign)


def _merge(members: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in (members | changes).items() if value is not None}
