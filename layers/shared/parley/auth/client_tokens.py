"""Access tokens of MCP clients: ES256 JWTs that are valid for ten minutes, for `/mcp` only.

Their `typ`, audience, prefix and scopes differ from those of users' access tokens, so neither is accepted for the other. `sid` is
the session that the user's consent created.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from parley.auth.access_tokens import LIFETIME, session_claims
from parley.auth.principal import MCP_SCOPES, Principal
from parley.auth.public_keys import FindKey
from parley.auth.signing_keys import SigningKey
from parley.auth.tokens import TokenKind, sign, verify
from parley.errors import Unauthorized

PREFIX = "pmt_"
AUDIENCE = "parley-mcp"
MCP_PATH = "/mcp"
# The metadata of a protected resource is at this path, or at this path followed by the resource's (RFC 9728, 3.1).
METADATA_PATH = "/.well-known/oauth-protected-resource"
CLIENT_TOKEN = TokenKind(typ="mcp+jwt", family="signing", ids=frozenset({"sub", "sid", "jti"}), max_lifetime=LIFETIME, audience=AUDIENCE)


def issue_client_token(user_id: UUID, session_id: UUID, scopes: frozenset[str], *, key: SigningKey, issuer: str, now: datetime) -> str:
    """Sign an access token of an MCP client. Raises ValueError for scopes that clients may not have."""
    if not scopes or not scopes <= MCP_SCOPES:
        raise ValueError(f"an MCP client must not have the scopes {sorted(scopes)}")
    claims = session_claims(user_id, session_id, scopes, issuer=issuer, now=now)
    return PREFIX + sign(CLIENT_TOKEN, claims, key=key)


def verify_client_token(text: str, *, find_key: FindKey, issuer: str) -> dict[str, Any]:
    """Return the claims of an MCP client's access token. Raises Unauthorized unless `issuer` issued the token and it is valid now.

    Does not check whether the session has ended; `principal_scope` checks that in the database.
    """
    if not text.startswith(PREFIX):
        raise Unauthorized(f"a client's token lacks the prefix {PREFIX}")
    claims = verify(CLIENT_TOKEN, text.removeprefix(PREFIX), find_key=find_key, issuer=issuer)
    if not Principal.from_claims(claims).scopes <= MCP_SCOPES:
        raise Unauthorized("a client's token has scopes that clients may not have")
    return claims
