"""Servers of remote tools that versions before 0.1.0 stored: the query of the URL in clear, and headers without a query."""

import json
from functools import partial

import pytest

from functions.migrate.mcp_queries import encrypt_queries
from parley.auth.encryption import TextCipher
from parley.auth.key_store import load_encryption_key
from parley.db import mcp_servers
from parley.db.transactions import user_scope
from parley.ids import new_id
from parley.tools.mcp_registry import decrypt_credentials, headers_context

KEY = "?key=fake-canary"


@pytest.fixture
def cipher(environment, database):
    return TextCipher(partial(load_encryption_key, environment["PARLEY_KEYS_PATH"]))


@pytest.fixture
def store(engine, alice):
    """Store a server as an earlier version did, and return a function that reads it back."""

    def run(url, encrypt_headers):
        server_id = new_id()
        headers = encrypt_headers(server_id)
        with user_scope(engine, alice.id) as connection:
            mcp_servers.add(connection, server_id, user_id=alice.id, name="tickets", url=url, headers=headers)

        def read():
            with user_scope(engine, alice.id) as connection:
                return mcp_servers.list_all(connection, user_id=alice.id)[0]

        return read

    return run


def test_a_query_in_clear_joins_the_encrypted_headers(store, cipher, engines, alice):
    def of_an_earlier_version(server_id):
        return cipher.encrypt(json.dumps({"X-Team": "blue"}), context=headers_context(server_id, user_id=alice.id))

    read = store(f"https://mcp.example.com/tickets{KEY}", of_an_earlier_version)
    encrypt_queries(engines["owner"], cipher)
    server = read()

    assert server.url == "https://mcp.example.com/tickets"
    assert decrypt_credentials(cipher, server.headers, server.id, user_id=alice.id) == ({"X-Team": "blue"}, KEY)


def test_the_deployment_encrypts_queries(store, cipher, on_test_database, alice):
    read = store(f"https://mcp.example.com/tickets{KEY}", lambda _: None)
    on_test_database.migrate()
    server = read()

    assert decrypt_credentials(cipher, server.headers, server.id, user_id=alice.id) == ({}, KEY)


def test_a_server_whose_headers_are_lost_stays_as_it_is(store, cipher, engines):
    read = store(f"https://mcp.example.com/tickets{KEY}", lambda _: TextCipher(lambda: bytes(32)).encrypt("{}", context="another row"))
    before = read()
    encrypt_queries(engines["owner"], cipher)

    assert read() == before
