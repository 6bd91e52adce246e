"""One message of an MCP client, answered at once: nothing is kept between two."""

from collections.abc import Mapping
from typing import Any

from functions.tools.desk import Desk
from functions.tools.protocol.envelope import VERSION_HEADER, check_envelope, check_version
from functions.tools.protocol.messages import METHOD_NOT_FOUND, RpcAnswer, RpcError, RpcMessage, failure, result
from functions.tools.protocol.methods import BY_ENVELOPE, BY_HANDSHAKE, CACHEABLE, SERVER
from functions.tools.protocol.versions import MODERN
from parley.auth.principal import Principal
from parley.db.transactions import principal_scope

ACCEPTED = RpcAnswer(202)


def answer(services: Desk, principal: Principal, message: RpcMessage, headers: Mapping[str, str]) -> RpcAnswer:
    """Answer a request; accept what wants no answer. Raises what guards every request: Unauthorized, RateLimited, Unavailable."""
    # Also what touches no row: a session that has ended may not even ask what is spoken here.
    with principal_scope(services.engine, principal):
        pass
    is_modern = headers.get(VERSION_HEADER) in MODERN
    try:
        check_version(headers)
        if not message.wants_answer:
            return ACCEPTED
        if is_modern:
            check_envelope(message, headers)
        content = _run(services, principal, message, is_modern=is_modern)
    except RpcError as error:
        return failure(message.id, error)
    return result(message.id, _stamped(content, message.method) if is_modern else content)


def _run(services: Desk, principal: Principal, message: RpcMessage, *, is_modern: bool) -> dict[str, Any]:
    method = (BY_ENVELOPE if is_modern else BY_HANDSHAKE).get(message.method or "")
    if method is None:
        raise RpcError(METHOD_NOT_FOUND, "There is no such method.", status=404 if is_modern else 200)
    return method(services, principal, message.params or {})


def _stamped(content: dict[str, Any], method: str | None) -> dict[str, Any]:
    """Add what a modern result says about itself. It is one user's, and stale at once: their settings may change."""
    about = {"resultType": "complete", "_meta": {"io.modelcontextprotocol/serverInfo": SERVER}}
    return content | about | ({"ttlMs": 0, "cacheScope": "private"} if method in CACHEABLE else {})
