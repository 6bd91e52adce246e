"""`parley admin scim-token`: the token of the identity provider."""

import pytest

from tests.cli import replies

pytestmark = pytest.mark.usefixtures("utc", "alice")
PATH = "/admin/scim-token"
ADDRESS = "https://chat.example.com/scim/v2"
TOKEN = {
    "id": "0190a1b2-0000-7000-8000-00000000aaaa",
    "created_at": "2026-03-01T14:02:33Z",
    "expires_at": None,
    "last_used_at": "2026-03-02T14:02:33Z",
}


def test_only_the_new_token_is_written_to_standard_output(server, parley):
    server.on(f"POST {PATH}", replies.reply(201, {"token": "pst_abc", "base_url": ADDRESS}))

    result = parley("admin", "scim-token", "make")

    assert result.stdout == "pst_abc\n"
    assert ADDRESS in result.stderr


def test_the_valid_tokens_are_listed(server, parley):
    server.on(f"GET {PATH}", replies.reply(200, {"base_url": ADDRESS, "tokens": [TOKEN]}))

    assert parley("admin", "scim-token").stdout.splitlines() == [
        "id        created           last used         expires",
        "0000aaaa  2026-03-01 14:02  2026-03-02 14:02  never",
    ]


def test_without_a_token_it_says_how_to_make_one(server, parley):
    server.on(f"GET {PATH}", replies.reply(200, {"base_url": ADDRESS, "tokens": []}))

    assert parley("admin", "scim-token").stdout == "No token. Make one: parley admin scim-token make\n"


def test_revoking_asks_for_confirmation(server, parley):
    server.on(f"DELETE {PATH}", replies.reply(204))

    parley("admin", "scim-token", "revoke", stdin="n\n")
    assert server.lines == []
    assert parley("admin", "scim-token", "revoke", "--yes").stdout == "The identity provider's tokens are revoked.\n"
