import pytest

from parley.auth.principal import MCP_SCOPES, USER_SCOPES
from tests.support.tokens import make_client_token


@pytest.mark.parametrize("scopes", [frozenset(), USER_SCOPES, MCP_SCOPES | {"admin"}], ids=["none", "a user's", "one too many"])
def test_an_mcp_client_gets_no_token_without_a_scope_or_with_a_users(scopes):
    with pytest.raises(ValueError, match="must not have the scopes"):
        make_client_token(scopes)
