"""The tools that a turn may offer to its model, and who runs them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection

from parley.auth.principal import Principal
from parley.tools.outcome import ToolOutcome
from parley.tools.spec import ToolSpec


class Offered(Protocol):
    """A tool that its user lets models call."""

    @property
    def spec(self) -> ToolSpec:
        """What it is."""
        ...

    @property
    def user_requires_approval(self) -> bool | None:
        """Whether its user wants to be asked each time, None if they did not say."""
        ...


class Toolbox(Protocol):
    """One user's tools, bound to them by the server: no argument of a call says whose they are."""

    @property
    def offered(self) -> Sequence[Offered]:
        """The tools that are enabled and that the caller's scopes allow."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:
        """Check the arguments and run one tool. Several threads may call it at once. Never raises: all that happens is an outcome."""
        ...


# In two steps: what takes long is asked before the transaction is open.
type ToolboxFor = Callable[[Principal], Callable[[Connection], Toolbox]]


def no_tools(_principal: Principal) -> Callable[[Connection], Toolbox]:
    """Return what gives nobody any tools."""
    return lambda _connection: Empty()


class Empty:
    """No tools at all."""

    offered: Sequence[Offered] = ()

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> ToolOutcome:  # noqa: ARG002 - there is nothing to run
        """Say so."""
        return ToolOutcome(False, f"There is no tool {name!r}.", 0.0)
