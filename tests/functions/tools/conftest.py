import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from functions.tools.routes import ERROR_RESPONDERS, router
from functions.tools.services import ToolsServices
from parley.auth.encryption import TextCipher
from parley.http.app import create_app
from parley.http.lambda_entry import buffered_handler, worker_loop
from parley.metering.limits import DefaultLimits
from parley.settings import HttpSettings
from parley.tools.mcp_registry import McpRegistry
from tests.fakes.tool_servers import FakeMcpCalls, FakeToolRunner, mcp_tool
from tests.functions.tools.mcp_client import run_client
from tests.support.api_gateway import Function


@pytest.fixture
def serve(engine) -> Callable[..., Function]:
    """Return a function that builds the tools function with a fake tool runner and fake MCP servers."""

    def serve(
        runner: Any = None, calls: Any = None, *, deployment: Any = (), rate_per_minute: int = 100_000, allowed_origin: str = "*"
    ) -> Function:
        mcp_registry = McpRegistry(calls or FakeMcpCalls(mcp_tool()), list(deployment), TextCipher(lambda: bytes(32)))
        services = ToolsServices(
            engine, runner or FakeToolRunner(), mcp_registry, lambda principal: [], DefaultLimits(rate_per_minute, Decimal(5))
        )
        asyncio.set_event_loop(worker_loop())  # other tests leave the thread without a loop, and the handler would create another
        settings = HttpSettings(allowed_origin=allowed_origin)
        app = create_app(router, settings=settings, error_responders=ERROR_RESPONDERS, engine=engine, services=services)
        return Function(buffered_handler(app))

    return serve


@pytest.fixture
def client(serve) -> Callable[..., Any]:
    """Return a function that runs an action of the official MCP client as a person."""
    return lambda work, person, **options: run_client(work, person, serve(), **options)


@pytest.fixture
def served(serve) -> Function:
    """The tools function with one tool, `shout`, and MCP servers that all offer `echo`."""
    return serve()
