"""How a tool says that it cannot."""

from parley.errors import ParleyError


class ToolFailed(ParleyError):
    """The tool has no answer; `public_message` says why, in words for the model and its user."""

    status, code = 422, "tool_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.public_message = reason


class ToolUnusable(ParleyError):
    """What was to be registered as a tool cannot be one."""

    code = "tool_unusable"
