"""The protocol of a tool runner, and the `toolrunner` function called by Lambda Invoke."""

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from parley.errors import Unavailable
from parley.observability import logger
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import MAX_TIMEOUT_S, ToolSpec


class ToolRunner(Protocol):
    """Runs tools by name. Both may be called by several threads at once."""

    def specs(self) -> Sequence[ToolSpec]:
        """Return the tools of this deployment, kept for a while; none where the runner does not answer, which is logged."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, user_id: UUID, timeout_s: float) -> ToolOutcome:
        """Run one tool with arguments that fit its schema. Never raises: a crash, a hang, an unknown name are outcomes."""
        ...


# An isolated process that hangs is ended by the function's own time-out of 10 s; what is above that is for the way.
READ_TIMEOUT_S = 12.0
FRESH_S, LOCAL_FRESH_S = 60.0, 2.0
_CONNECTIONS = 32
_UNAVAILABLE_MESSAGE = "The tool cannot be run at the moment."


class RunnerFailed(Unavailable):
    """There is no answer. `kind` is Lambda's word for why, `public_message` the model's and the user's."""

    def __init__(self, kind: str, detail: str, *, public_message: str) -> None:
        super().__init__(f"the tool runner ({kind}: {detail})")
        self.public_message = public_message


class Invoker:
    """A ToolRunner over the function of this name. Thread-safe; nothing is retried, for a tool may have had its effect."""

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name
        self._lock = threading.Lock()
        self._made: Any = None
        self._specs: tuple[ToolSpec, ...] = ()
        self._listed_at_s = float("-inf")

    def specs(self) -> Sequence[ToolSpec]:
        """Return the deployment's tools, as they were a minute ago at most, two seconds on a developer's machine.

        Where the runner does not answer, that is logged, and the last ones known stay.
        """
        with self._lock:
            if time.monotonic() - self._listed_at_s >= self._fresh_s():
                self._specs = self._listed()
                self._listed_at_s = time.monotonic()
            return self._specs

    def run(self, name: str, arguments: Mapping[str, Any], *, user_id: UUID, timeout_s: float) -> ToolOutcome:
        """Run one tool for this user. Never raises: whatever goes wrong is an outcome."""
        began_s = time.monotonic()
        timeout_s = min(timeout_s, MAX_TIMEOUT_S)
        request = {"op": "run", "name": name, "arguments": dict(arguments), "user_id": str(user_id), "timeout_s": timeout_s}
        try:
            answer = self.ask(request, timeout_s=timeout_s)
            ok, content = answer["ok"] is True, str(answer["content"])
        except (RunnerFailed, LookupError) as exc:
            logger.warning("a tool has no outcome", tool=name, reason=str(exc))
            ok, content = False, exc.public_message if isinstance(exc, RunnerFailed) else _UNAVAILABLE_MESSAGE
        return ToolOutcome(ok, content, (time.monotonic() - began_s) * 1000)

    def ask(self, request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Send an order and return the object that the runner answers with. Raises RunnerFailed."""
        from botocore.exceptions import BotoCoreError, ClientError

        began_s = time.monotonic()
        try:
            answer = self._client().invoke(FunctionName=self._function_name, Payload=json.dumps(request).encode())
            body = json.loads(answer["Payload"].read())
        except ClientError as exc:
            kind = str(exc.response["Error"]["Code"])
            words = "The arguments are too large." if kind == "RequestTooLargeException" else _UNAVAILABLE_MESSAGE
            raise RunnerFailed(kind, str(exc), public_message=words) from exc
        except (BotoCoreError, ValueError, TypeError, RecursionError) as exc:
            took_s = time.monotonic() - began_s
            raise RunnerFailed(
                type(exc).__name__, str(exc), public_message=_failure_message(type(exc).__name__, took_s, timeout_s)
            ) from exc
        if "FunctionError" in answer or not isinstance(body, dict):
            reply = body if isinstance(body, dict) else {}
            kind = str(reply.get("errorType", "Unreadable"))
            words = _failure_message(kind, time.monotonic() - began_s, timeout_s)
            raise RunnerFailed(kind, str(reply.get("errorMessage", "")), public_message=words)
        return body

    def _listed(self) -> tuple[ToolSpec, ...]:
        try:
            answer = self.ask({"op": "list"}, timeout_s=MAX_TIMEOUT_S)
            specs = tuple(_listed_spec(one) for one in answer["tools"])
        except (RunnerFailed, LookupError, TypeError) as exc:
            logger.warning("the tool runner does not list its tools", reason=str(exc))
            return self._specs
        for broken in answer.get("broken", ()):
            logger.warning("a plugin is broken", plugin=broken["plugin"], reason=broken["reason"])
        return specs

    def _client(self) -> Any:
        if self._made is None:
            import boto3  # 0.2 s that only who runs tools pays
            from botocore.config import Config

            config = Config(
                connect_timeout=2, read_timeout=READ_TIMEOUT_S, retries={"total_max_attempts": 1}, max_pool_connections=_CONNECTIONS
            )
            self._made = boto3.session.Session().client("lambda", config=config)
        return self._made

    def _fresh_s(self) -> float:
        """Where Lambda is on this machine, a developer waits for the plugin that was just saved."""
        is_here = urlsplit(self._client().meta.endpoint_url).hostname in ("127.0.0.1", "localhost")
        return LOCAL_FRESH_S if is_here else FRESH_S


def _listed_spec(listed: Mapping[str, Any]) -> ToolSpec:
    return ToolSpec(**{**listed, "scopes": tuple(listed.get("scopes", ()))})


def _failure_message(kind: str, took_s: float, timeout_s: float) -> str:
    """Say to the model what happened, and nothing of our insides."""
    if kind in ("Sandbox.Timedout", "ReadTimeoutError") or (kind.startswith("Runtime.") and took_s >= timeout_s):
        return f"The tool did not answer within {timeout_s:g} seconds and was ended."
    return "The tool crashed." if kind.startswith("Runtime.") else _UNAVAILABLE_MESSAGE
