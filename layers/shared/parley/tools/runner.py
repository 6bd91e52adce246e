"""The protocol of who runs tools: the `toolrunner` function by Lambda Invoke, or a stand-in of the tests."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from parley.tools.outcome import Outcome
from parley.tools.spec import ToolSpec


class ToolRunner(Protocol):
    """Runs tools by name. Both may be called by several threads at once."""

    def specs(self) -> Sequence[ToolSpec]:
        """Return the tools of this deployment, kept for a while; none where the runner does not answer, which is logged."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, user_id: UUID, timeout_s: float) -> Outcome:
        """Run one tool with arguments that fit its schema. Never raises: a crash, a hang, an unknown name are outcomes."""
        ...
