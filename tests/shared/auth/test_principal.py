from uuid import UUID

import pytest

from parley.auth.principal import Principal
from parley.errors import Forbidden, Unauthorized

USER, SESSION, KEY = (str(UUID(int=number)) for number in (1, 2, 3))
CLAIMS = {"sub": USER, "scope": "chat tools", "exp": "1795348800"}


def test_a_session_principal_is_read_from_the_authorizers_strings():
    principal = Principal.from_claims(CLAIMS | {"sid": SESSION})

    assert (principal.user_id, principal.session_id, principal.api_key_id) == (UUID(USER), UUID(SESSION), None)
    assert (principal.scopes, principal.expires_at.year) == ({"chat", "tools"}, 2026)


def test_an_api_key_principal_is_read_from_the_authorizers_strings():
    principal = Principal.from_claims(CLAIMS | {"api_key_id": KEY})

    assert (principal.session_id, principal.api_key_id) == (None, UUID(KEY))


@pytest.mark.parametrize("proof", [{}, {"sid": SESSION, "api_key_id": KEY}, {"sid": ""}, {"sid": None}, {"api_key_id": "x"}])
def test_a_principal_needs_exactly_one_of_session_and_api_key(proof):
    with pytest.raises(Unauthorized):
        Principal.from_claims(CLAIMS | proof)


@pytest.mark.parametrize("scope", ["account", "admin", "chat account"])
def test_an_api_key_principal_never_has_account_or_admin_scopes(scope):
    with pytest.raises(Unauthorized):
        Principal.from_claims(CLAIMS | {"api_key_id": KEY, "scope": scope})


def test_a_missing_scope_is_forbidden():
    with pytest.raises(Forbidden):
        Principal.from_claims(CLAIMS | {"sid": SESSION}).require("documents")
