"""Calls remote MCP servers (Streamable HTTP) with the official client, behind the egress filter.

The client is imported at the first call, because its import takes 1.5 s: any import from the package builds the models of
all three protocol revisions. Each call opens a new connection, because a server's credentials come with the call and must
not outlive it.

A tool may ask its user for input during a call (elicitation). A server of revision 2026-07-28 ends the call with its question and a
state; if the caller may ask the user, the question is returned, and a later call with the answer continues from that state. A server
of an older revision waits inside the open call. No user is there to answer within its ten seconds, so the client declines, and the
result repeats the question: the model can ask the user and call the tool again. The same holds for questions that are not forms.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from functions.toolrunner.requests import McpCallRequest, McpListRequest
from functions.toolrunner.time_limit import exit_after
from parley.errors import ParleyError
from parley.observability import logger
from parley.tools.arguments import argument_errors, render_errors
from parley.tools.guarded_http.egress_filter import EgressFilter
from parley.tools.guarded_http.errors import FetchFailed
from parley.tools.mcp import MAX_TOOLS

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult, ElicitRequestParams, ElicitResult, InputRequiredResult, InputResponse

_MAX_PAGES = 10
_MAX_REASON_CHARACTERS = 500
# How many questions a result repeats, each with at most as many characters as a reason.
_MAX_QUESTIONS = 5
# A server's opaque state, which is stored while its user is asked.
_MAX_STATE_CHARACTERS = 32_768

# Time to report a slow server, and to end a session (`mcp_transport.GOODBYE_S`), before the time limit ends the process.
_MARGIN_S = 0.5
# The least time for a call after the check of its arguments: it then times out.
_LEAST_S = 0.01

_TIMED_OUT = "The server did not respond in time."

type McpResult = dict[str, Any]
type McpCall = Callable[["Client"], Awaitable[McpResult]]


def preload_client() -> None:
    """Import the client during the cold start, for a deployment that will need it."""
    import mcp.client.streamable_http  # noqa: F401

    import functions.toolrunner.mcp_transport  # noqa: F401


def list_tools(mcp_request: McpListRequest, *, egress_filter: EgressFilter) -> McpResult:
    """Return `{"tools": [{"name", "description", "parameters"}, …]}`, or `{"error": reason}`. Never raises."""

    async def list_all(client: "Client") -> McpResult:
        return {"tools": [tool async for tool in _tools(client)]}

    return _run_with_server(mcp_request, list_all, egress_filter=egress_filter, timeout_s=mcp_request.timeout_s)


def call_tool(mcp_request: McpCallRequest, *, egress_filter: EgressFilter) -> McpResult:
    """Return the tool's result as `{"ok", "content"}`, its question as `{"asked"}`, `{"argument_errors"}` or `{"error": reason}`.

    Never raises.
    """
    end_s = time.monotonic() + mcp_request.timeout_s
    # The schema comes from a stranger, so a check that takes too long must end this process.
    with exit_after(mcp_request.timeout_s):
        errors = argument_errors(mcp_request.parameters, mcp_request.arguments)
    if errors:
        return {"argument_errors": render_errors(errors)}

    questions = _DeclinedQuestions()

    async def call(client: "Client") -> McpResult:
        result = await _call_or_ask(client, mcp_request, questions)
        if isinstance(result, dict):
            return {"asked": result}
        return {"ok": not result.is_error, "content": questions.append_to(_render_result(result))}

    left_s = max(end_s - time.monotonic(), _LEAST_S)
    return _run_with_server(mcp_request, call, egress_filter=egress_filter, timeout_s=left_s, questions=questions)


async def _call_or_ask(client: "Client", mcp_request: McpCallRequest, questions: "_DeclinedQuestions") -> "CallToolResult | McpResult":
    """Return the tool's result, or the one form that the tool asks its user to answer, as `{"form", "request"}`.

    Any other question is declined, and the call continues.
    """
    from mcp.types import CallToolResult, ElicitResult

    name, arguments, answer = mcp_request.name, mcp_request.arguments, mcp_request.answer
    responses: dict[str, InputResponse] | None = None
    state = None
    if answer:
        is_declined = answer.answers is None
        responses = {answer.request.id: ElicitResult(action="decline" if is_declined else "accept", content=answer.answers)}
        state = answer.request.state
    if mcp_request.may_ask:
        result = await client.session.call_tool(name, arguments, input_responses=responses, request_state=state, allow_input_required=True)
        if isinstance(result, CallToolResult):
            return result
        if asked := _asked_form(result):
            return asked
        responses = await questions.decline_all(result)
        state = None if responses is None else result.request_state
    return await client.call_tool(name, arguments, input_responses=responses, request_state=state)


def _asked_form(result: "InputRequiredResult") -> McpResult | None:
    """Return the form that the tool asks for, None if it asks for anything but one usable form."""
    from mcp.types import ElicitRequest, ElicitRequestFormParams

    from parley.tools.forms import UnusableForm, form_of_server

    requests = list((result.input_requests or {}).items())
    if len(requests) != 1 or len(result.request_state or "") > _MAX_STATE_CHARACTERS:
        return None
    ((id, request),) = requests
    if not isinstance(request, ElicitRequest) or not isinstance(request.params, ElicitRequestFormParams):
        return None
    try:
        form = form_of_server(request.params.message, request.params.requested_schema)
    except UnusableForm:
        return None
    return {"form": form.model_dump(mode="json"), "request": {"id": id, "state": result.request_state}}


class _DeclinedQuestions:
    """The questions that a server asked the user during a call. Each was declined."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    async def decline(self, context: object, params: "ElicitRequestParams") -> "ElicitResult":  # noqa: ARG002 - the client's signature
        """Answer a question. This is a callback of the client."""
        from mcp.types import ElicitResult

        if len(self._messages) < _MAX_QUESTIONS:
            self._messages.append(params.message[:_MAX_REASON_CHARACTERS])
        return ElicitResult(action="decline")

    def append_to(self, content: str) -> str:
        """Return the content of the result, followed by the questions if there are any."""
        if not self._messages:
            return content
        questions = "\n".join(f"- {message}" for message in self._messages)
        note = "The tool asked the user for input, which Parley declined. Ask the user, then call the tool again:"
        return f"{content}\n[{note}\n{questions}]"

    async def decline_all(self, result: "InputRequiredResult") -> "dict[str, InputResponse] | None":
        """Decline the questions with which a call ended. None if it asked for anything else."""
        from mcp.types import ElicitRequest

        requests = result.input_requests or {}
        if not all(isinstance(request, ElicitRequest) for request in requests.values()):
            return None
        return {id: await self.decline(None, request.params) for id, request in requests.items() if isinstance(request, ElicitRequest)}


def _run_with_server(
    mcp_request: McpListRequest | McpCallRequest,
    run: McpCall,
    *,
    egress_filter: EgressFilter,
    timeout_s: float,
    questions: _DeclinedQuestions | None = None,
) -> McpResult:
    deadline_s = time.monotonic() + max(timeout_s - _MARGIN_S, timeout_s / 2)
    try:
        with exit_after(timeout_s):
            return asyncio.run(_connect_and_run(mcp_request, run, egress_filter, deadline_s, questions))
    except TimeoutError:
        return {"error": _TIMED_OUT}
    except Exception as exc:  # the client raises many types, in exception groups
        reason = _reason(exc)
        # Log no messages: they repeat addresses and text from the servers of users.
        logger.warning("mcp_server_failed", error=type(_root_cause(exc)).__name__)
        return {"error": reason}


async def _connect_and_run(
    mcp_request: McpListRequest | McpCallRequest,
    run: McpCall,
    egress_filter: EgressFilter,
    deadline_s: float,
    questions: _DeclinedQuestions | None,
) -> McpResult:
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    from functions.toolrunner.mcp_transport import BoundedTransport

    timeout_s = max(deadline_s - time.monotonic(), 0.0)
    async with asyncio.timeout(timeout_s):
        # Without compression, so that the bytes counted are the bytes held in memory.
        headers = mcp_request.server.headers | _parameter_headers(mcp_request) | {"Accept-Encoding": "identity"}
        decline = questions.decline if questions else None
        transport = BoundedTransport(egress_filter)
        # Only the timeout around this block limits reads: the client reports a read that times out as a broken connection.
        timeout = httpx2.Timeout(timeout_s, read=None)
        async with (
            httpx2.AsyncClient(transport=transport, headers=headers, timeout=timeout, trust_env=False) as http,
            Client(streamable_http_client(mcp_request.server.url, http_client=http), cache=None, elicitation_callback=decline) as client,
        ):
            return await run(client)


def _parameter_headers(mcp_request: McpListRequest | McpCallRequest) -> dict[str, str]:
    """Return the headers in which a call repeats the arguments that the tool's schema marks with `x-mcp-header`.

    The client adds them only to calls of tools that it has listed on the same connection.
    """
    from mcp.shared.inbound import find_invalid_x_mcp_header, mcp_param_headers, x_mcp_header_map

    if isinstance(mcp_request, McpListRequest) or find_invalid_x_mcp_header(mcp_request.parameters) is not None:
        return {}
    return mcp_param_headers(x_mcp_header_map(mcp_request.parameters), mcp_request.arguments)


async def _tools(client: "Client") -> AsyncIterator[McpResult]:
    cursor: str | None = None
    count = 0
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            yield {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
        count, cursor = count + len(page.tools), page.next_cursor
        if cursor is None or count >= MAX_TOOLS:
            return


def _render_result(result: "CallToolResult") -> str:
    """Return the content of a result as text. Content that is not text, such as an image, is replaced by its type in brackets."""
    parts = [_render_block(block) for block in result.content]
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _render_block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "resource" if hasattr(block.resource, "text"):
            return str(block.resource.text)
        case kind:
            return f"[{kind} omitted]"


def _reason(exc: BaseException) -> str:
    """Return the reason for a failure. A server's own message is marked as such, because the model must not trust it."""
    import httpx2

    cause = _root_cause(exc)
    if isinstance(cause, ParleyError):
        return cause.public_message
    if isinstance(cause, httpx2.TimeoutException):
        return _TIMED_OUT
    message = str(getattr(cause, "message", "")) if type(cause).__name__ == "MCPError" else ""
    return f"The server returned an error: {message[:_MAX_REASON_CHARACTERS]}" if message else "The server could not be reached."


def _root_cause(exc: BaseException) -> BaseException:
    """Return the egress filter's error if it is the cause, else the first exception inside the groups."""
    innermost: BaseException = exc
    while isinstance(innermost, BaseExceptionGroup):
        innermost = innermost.exceptions[0]
    seen: BaseException | None = innermost
    while seen is not None:
        if isinstance(seen, FetchFailed):
            return seen
        seen = seen.__cause__ or seen.__context__
    return innermost
