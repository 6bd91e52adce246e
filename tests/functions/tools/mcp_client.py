"""Calls of the official MCP client, for the tests of our MCP server."""

import asyncio

from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types.version import MODERN_PROTOCOL_VERSIONS

from tests.functions.tools.http_server import serving_function
from tests.support.api_gateway import Person

MODERN = MODERN_PROTOCOL_VERSIONS[-1]


def run_client(work, person, function, *, mode=MODERN):
    """Run an action of the official client as `person`, and return its result or the error of the server."""

    async def connected(url):
        async with Client(f"{url}/mcp", mode=mode) as session:
            try:
                return await work(session)
            except MCPError as error:
                return error

    with serving_function(function, person) as url:
        return asyncio.run(connected(url))


def narrowed(person, scopes):
    """Return the person with a token of these scopes only."""
    return Person(person.email, person.tokens, person.claims | {"scope": scopes})


def completed(client, person, reference, name, typed, mode=MODERN):
    """Return the values for an argument, or the error's code."""
    answer = client(lambda session: session.complete(reference, {"name": name, "value": typed}), person, mode=mode)
    return answer.error.code if isinstance(answer, MCPError) else answer.completion.values
