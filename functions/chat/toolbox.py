"""The tools that a turn may offer to its model, and who runs them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from parley.auth.principal import Principal
from parley.tools.outcome import Outcome
from parley.tools.spec import ToolSpec


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool that its user lets models call; `wish` is whether they want to be asked each time, None if they did not say."""

    spec: ToolSpec
    wish: bool | None = None


class Toolbox(Protocol):
    """One user's tools, bound to them by the server: no argument of a call says whose they are."""

    @property
    def offered(self) -> Sequence[Offered]:
        """The tools that are enabled and that the caller's scopes allow."""
        ...

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Outcome:
        """Check the arguments and run one tool. Several threads may call it at once. Never raises: all that happens is an outcome."""
        ...


type ToolboxFor = Callable[[Connection, Principal], Toolbox]


class Empty:
    """No tools at all."""

    offered: Sequence[Offered] = ()

    def run(self, name: str, arguments: Mapping[str, Any], *, timeout_s: float) -> Outcome:  # noqa: ARG002 - there is nothing to run
        """Say so."""
        return Outcome(False, f"There is no tool {name!r}.", 0.0)
