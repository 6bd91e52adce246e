"""Encrypts queries of MCP servers' URLs that earlier versions stored in clear. A migration cannot: the database has no key."""

from parley.auth.encryption import DecryptionFailed, TextCipher
from parley.db import mcp_servers
from parley.db.engine import Engine
from parley.db.transactions import global_scope
from parley.observability import logger
from parley.tools.mcp_registry import decrypt_credentials, encrypt_credentials, split_query


def encrypt_queries(engine: Engine, cipher: TextCipher) -> int:
    """Move the queries into the servers' encrypted credentials, and return how many servers changed. Safe to repeat.

    A server whose headers cannot be decrypted stays as it is, so that its owner can still see its address.
    """
    changed = 0
    with global_scope(engine) as connection:
        for user_id, server in mcp_servers.lock_with_query(connection):
            address, query = split_query(server.url)
            try:
                headers, _ = decrypt_credentials(cipher, server.headers, server.id, user_id=user_id)
            except DecryptionFailed:
                logger.warning("mcp_query_not_encrypted", server_id=str(server.id))
                continue
            encrypted = encrypt_credentials(cipher, headers, server.id, user_id=user_id, query=query)
            mcp_servers.replace_credentials(connection, server.id, user_id=user_id, url=address, headers=encrypted)
            changed += 1
    if changed:
        logger.info("mcp_queries_encrypted", servers=changed)
    return changed
