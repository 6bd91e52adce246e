"""What the tool routes take and give."""

from typing import Annotated, Any, Self

from fastapi import Path
from pydantic import Field

from parley.http.schemas import Input, Output
from parley.tools.spec import ToolSource
from parley.tools.toolbox import OfferedTool

# A server's name, a dot and a tool's.
ToolName = Annotated[str, Path(max_length=100)]


class ToolChange(Input):
    """PUT /tools/{id}; what is not named stays, and null leaves it to the tool."""

    enabled: bool | None = None
    requires_approval: bool | None = None

    def columns(self) -> dict[str, bool | None]:
        """Return what is named, by the names of the columns."""
        named = self.model_dump(exclude_unset=True)
        return {{"enabled": "is_enabled"}.get(name, name): value for name, value in named.items()}


class InvokeIn(Input):
    """POST /tools/{id}/invoke."""

    arguments: dict[str, Any]


class ToolOut(Output):
    """A tool as its user has it; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]
    source: ToolSource
    enabled: bool
    requires_approval: bool

    @classmethod
    def of(cls, tool: OfferedTool) -> Self:
        """Show a tool."""
        spec = tool.spec
        return cls(
            name=spec.name,
            description=spec.description,
            parameters=dict(spec.parameters),
            source=spec.source,
            enabled=tool.is_enabled,
            requires_approval=tool.requires_approval,
        )


class OutcomeOut(Output):
    """What came of a call: with `ok` false, `content` says why there is no result."""

    ok: bool
    content: str
    elapsed_ms: Annotated[float, Field(ge=0)]
