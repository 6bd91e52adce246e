"""The `toolrunner` function, called by Lambda Invoke."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any
from uuid import UUID

from parley.errors import ParleyError, Unavailable
from parley.tools.outcome import Outcome
from parley.tools.spec import ToolSpec


class Invoker:
    """Calls the function of this name."""

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name

    def ask(self, payload: Mapping[str, Any], *, timeout_s: float) -> Any:
        """Send a payload and return the answer. Raises Unavailable."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client.invoke(FunctionName=self._function_name, Payload=json.dumps(dict(payload)).encode())
            said = json.loads(answer["Payload"].read())
        except (BotoCoreError, ClientError, ValueError) as exc:
            raise Unavailable("tool runner") from exc
        if "FunctionError" in answer:
            raise Unavailable("tool runner")
        return said

    def specs(self) -> Sequence[ToolSpec]:
        """Return the tools of this deployment."""
        return []

    def run(self, name: str, arguments: Mapping[str, Any], *, user_id: UUID, timeout_s: float) -> Outcome:
        """Run one tool."""
        try:
            said = self.ask({"op": "run", "name": name, "arguments": dict(arguments), "user_id": str(user_id)}, timeout_s=timeout_s)
        except ParleyError as exc:
            return Outcome(False, exc.public_message, 0.0)
        return Outcome(**said)

    @cached_property
    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client("lambda", config=Config(connect_timeout=2, read_timeout=12, retries={"total_max_attempts": 1}))
