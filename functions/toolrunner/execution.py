"""Runs one tool, or fetches one document. Whatever the tool does, the caller gets a result of bounded size, or the process ends."""

import asyncio
import inspect
import json
import traceback
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError

from functions.toolrunner.registry import Registry
from functions.toolrunner.requests import FetchJsonRequest, PostEventRequest, RunRequest
from functions.toolrunner.time_limit import exit_after
from parley.errors import ParleyError
from parley.observability import add_log_context, logger, redact
from parley.tools.guarded_http.client import GuardedHttp
from parley.tools.outcome import truncate_result
from parley.tools.spec import Tool, ToolContext

_MAX_PROBLEMS = 5
_MAX_REASON_BYTES = 2000
_MAX_DOCUMENT_BYTES = 16 * 1024


class UnusableOutput(Exception):
    """The output of a tool is neither text nor JSON."""


def render_output(output: Any) -> str:
    """Return text unchanged and other output as JSON, truncated to 64 KiB with a note. Raises UnusableOutput if JSON cannot hold it."""
    if isinstance(output, BaseModel):
        output = output.model_dump(mode="json")
    if isinstance(output, str):
        return truncate_result(output)
    try:
        return truncate_result(json.dumps(output, ensure_ascii=False, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as exc:
        raise UnusableOutput(f"{type(output).__name__} is neither text nor JSON") from exc


def run_tool(registry: Registry, request: RunRequest, http: GuardedHttp) -> dict[str, Any]:
    """Run the tool and return `{"ok", "content"}`. If it failed, `content` is the reason, worded for the model. Never raises."""
    add_log_context(user_id=request.user_id)
    tool = registry.find(request.name)
    if tool is None:
        return _failure(f"Unknown tool {request.name!r}.")
    try:
        with exit_after(min(request.timeout_s, tool.spec.timeout_s)):
            return {"ok": True, "content": render_output(_call_tool(tool, request, ToolContext(request.user_id, http)))}
    except ParleyError as exc:
        logger.info("tool_failure_reported", tool=request.name, error=type(exc).__name__)
        return _failure(exc.public_message)
    except ValidationError as exc:
        return _failure(f"Invalid arguments for {request.name}: {_describe_errors(exc)}.")
    except UnusableOutput as exc:
        return _failure(f"The tool's output cannot be used: {exc}.")
    except (Exception, SystemExit) as exc:
        # Log the traceback without the error message, which may repeat the user's words.
        logger.warning("tool_failed", tool=request.name, error=type(exc).__name__, traceback=traceback.format_tb(exc.__traceback__))
        return _failure(redact(f"The tool failed ({type(exc).__name__}: {exc})."))


def fetch_json(request: FetchJsonRequest, http: GuardedHttp) -> dict[str, Any]:
    """Fetch a document of at most 16 KiB and return `{"status", "url", "document"}`, or `{"error": reason}`.

    Redirects are not followed, and the server must declare the document as JSON: on a host where anyone can store texts, not every
    text is a statement of the host (OAuth Client ID Metadata Document, section 4).
    """
    try:
        headers = {"Accept": "application/json"}
        found = http.get(request.url, headers=headers, timeout_s=request.timeout_s, max_bytes=_MAX_DOCUMENT_BYTES, max_redirects=0)
        if found.status != HTTPStatus.OK:
            return {"status": found.status, "url": found.url, "document": None}
        if not _is_json(found.content_type):
            return {"error": "The server does not declare the document as JSON."}
        return {"status": found.status, "url": found.url, "document": found.json()}
    except ParleyError as exc:
        logger.info("document_not_fetched", error=type(exc).__name__)
        return {"error": exc.public_message}


def post_event(request: PostEventRequest, http: GuardedHttp) -> dict[str, Any]:
    """Send an event to a web hook, and return `{"status"}`, or `{"error": reason}`. A redirect is not followed, the answer is dropped."""
    headers = {"Content-Type": "application/json"} | request.headers
    try:
        answer = http.post_text(request.url, request.body, headers=headers, timeout_s=request.timeout_s, max_bytes=_MAX_DOCUMENT_BYTES)
    except ParleyError as exc:
        logger.info("event_not_posted", error=type(exc).__name__)
        return {"error": exc.public_message}
    return {"status": answer.status}


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


def _call_tool(tool: Tool, request: RunRequest, context: ToolContext) -> Any:
    output = tool.run(request.arguments, context)
    return asyncio.run(_await(output)) if inspect.isawaitable(output) else output


async def _await(output: Any) -> Any:
    return await output


def _failure(reason: str) -> dict[str, Any]:
    return {"ok": False, "content": truncate_result(reason, max_bytes=_MAX_REASON_BYTES)}


def _describe_errors(error: ValidationError) -> str:
    problems = error.errors()[:_MAX_PROBLEMS]
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
